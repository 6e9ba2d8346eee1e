"""Fills the databases of the product and its peers with the same number of users and tokens."""
