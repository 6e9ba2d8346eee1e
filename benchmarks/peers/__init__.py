"""Other implementations of `GET /users/me` for comparison, each configured for best performance."""
