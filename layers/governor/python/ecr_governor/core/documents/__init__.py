"""The texts that ECR keeps for a repository: names, lifecycle policies, repository policies."""
