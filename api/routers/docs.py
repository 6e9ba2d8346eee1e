"""The interactive documentation, without other hosts and without inline scripts."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

_STATIC = Path(__file__).resolve().parent.parent / "static"
# Swagger UI sets styles from its code.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


class _Files(StaticFiles):
    """Files that a browser may keep, asking each time whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        # Nearly two megabytes, under the rule that nothing is to be stored otherwise.
        response.headers["Cache-Control"] = "no-cache"
        return response


router = APIRouter(include_in_schema=False)
router.mount("/docs/static", _Files(directory=_STATIC))


@router.get("/docs")
async def docs() -> FileResponse:
    """Swagger UI."""
    return FileResponse(_STATIC / "docs.html", headers={"Content-Security-Policy": _POLICY})
