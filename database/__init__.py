"""What is stored, and all SQL."""
