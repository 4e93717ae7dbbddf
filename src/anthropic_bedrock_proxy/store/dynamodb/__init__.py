"""The distributed store: DynamoDB."""
