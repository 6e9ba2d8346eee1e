"""Passwords: how they are hashed, who waits for that, and which are too weak."""
