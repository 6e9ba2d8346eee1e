"""The HTTP side of Counterfoil. `uvicorn api:app` serves it."""

from api.application import create_app

app = create_app()
