"""Request and response bodies. Only `api` uses them, and they know only pydantic."""
