"""The seam to any store: its ports, each with its records, and the errors of all."""
