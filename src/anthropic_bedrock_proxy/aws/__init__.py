"""Amazon's wire: HTTP client, signatures, credentials."""
