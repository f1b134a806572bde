"""CloudFormation: from the built SAM template to resources that are wired as the template says."""
