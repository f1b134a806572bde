"""Event source mappings: SQS and DynamoDB streams, polled as Lambda polls them."""
