"""The straight line of one request; knows seams, not implementations."""
