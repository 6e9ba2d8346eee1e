"""Invented people for trying the console out."""
