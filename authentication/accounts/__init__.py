"""Accounts: creating, finding, changing and deleting them, and their roles."""
