"""Takes along the users and the tokens of another system."""
