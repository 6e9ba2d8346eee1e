"""Limits on attempts: counters in the database, and short-lived memories of each worker."""
