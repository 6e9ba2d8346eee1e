"""Removing rows that can no longer be used."""
