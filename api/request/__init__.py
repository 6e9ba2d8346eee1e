"""Reads requests: the address of the client, forms, parameters of paths."""
