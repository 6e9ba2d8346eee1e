"""Limits on attempts: counters in the database, and what a worker remembers by itself."""
