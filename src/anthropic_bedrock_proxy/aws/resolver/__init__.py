"""AWS credentials that have to be looked up: by botocore, in one child process for all workers."""
