"""What stands behind a credential that was sent, and what follows from its use."""
