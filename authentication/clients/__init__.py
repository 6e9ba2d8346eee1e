"""Registered clients: the applications that users allow to act for them."""
