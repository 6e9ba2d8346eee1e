"""Measures Counterfoil under load, always relative to peers beside it on one machine."""
