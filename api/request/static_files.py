"""Serves the static files of pages, whose addresses change with their content."""

from typing import Any

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

# A change of a file changes the URL that pages use, so browsers keep it for a year.
CACHED = "public, max-age=31536000, immutable"


class CachedFiles(StaticFiles):
    """Files that browsers keep."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = CACHED
        return response
