"""Passkeys: a device signs a challenge instead of a user typing a password (Web Authentication)."""
