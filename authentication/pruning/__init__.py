"""Pruning: the deletion of rows that have expired or were revoked."""
