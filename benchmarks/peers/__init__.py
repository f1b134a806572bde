"""What ECR Governor is compared with: Cloud Custodian, the script that most teams write, and the least that it can cost."""
