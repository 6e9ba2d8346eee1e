"""Request and response bodies. Only `api` imports them; they import only pydantic and limits."""
