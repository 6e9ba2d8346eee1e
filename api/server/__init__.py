"""All that leans on uvicorn's inside."""
