"""Imports the users and the tokens of another system."""
