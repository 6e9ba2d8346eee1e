"""Reading a request: its credential, its client's address, its form."""
