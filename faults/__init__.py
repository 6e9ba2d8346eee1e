"""Breaks what the service depends on, one fault at a time, and judges what it did meanwhile."""
