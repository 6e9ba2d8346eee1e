"""Routes that cost less than FastAPI's own."""
