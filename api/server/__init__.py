"""Everything that depends on uvicorn."""
