"""Injects one fault at a time into what the service depends on, and judges its behaviour."""
