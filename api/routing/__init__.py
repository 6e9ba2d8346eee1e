"""Routes that are found and called faster than FastAPI's own."""
