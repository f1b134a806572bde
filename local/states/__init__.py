"""Step Functions: moto's interpreter of the Amazon States Language, made to fail, wait and end as AWS does."""
