"""Serves the static files of pages, whose addresses change with their content."""

from typing import Any

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

_YEAR_SECONDS = 31_536_000


class CachedFiles(StaticFiles):
    """Files that browsers keep for a year: a change of a file changes the URL that pages use."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = f"public, max-age={_YEAR_SECONDS}, immutable"
        return response
