"""What pools, test sets and validation rows share, and the rows held out for validation."""
