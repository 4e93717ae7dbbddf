"""The Bedrock simulator: wire-faithful, scriptable; demo upstream and test double."""
