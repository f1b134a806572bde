"""The story of a registry under ECR Governor, told on the embedded AWS."""
