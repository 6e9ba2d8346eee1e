"""Connections and transactions, on PostgreSQL and on SQLite."""
