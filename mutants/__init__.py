"""Mutants: small mistakes made on purpose in a copy of the product, which its tests must notice."""
