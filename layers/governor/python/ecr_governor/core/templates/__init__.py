"""Creation templates: what the policy makes of them, how they differ from the registry's, and what one does to a name.

Sources: botocore's model `ecr/2015-09-21` for fields and bounds; the user guide's page repository-creation-templates for what they do.
A template counts when ECR itself creates a repository, and only then: it changes none that is there, and none that is made by the API.
Only the command line comes here.
"""
