"""Starts the services, databases, relays and proxies for tests, fault scenarios and benchmarks."""
