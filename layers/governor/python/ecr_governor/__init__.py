"""ECR Governor: keeps an Amazon ECR registry in order."""
