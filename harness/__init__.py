"""Servers, relays, proxies and PostgreSQL that tests, faults and benchmarks start."""
