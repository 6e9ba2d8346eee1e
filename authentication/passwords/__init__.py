"""Hashing passwords, and the queue of those who wait for it."""
