"""Accounts: making, finding, changing and deleting them, and their roles."""
