"""The interactive documentation, without other hosts and without inline scripts."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from api.openapi import description
from api.request import prefix

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


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """The description of the API, for the place at which clients reach it."""
    issuer = request.app.state.settings.api.issuer
    public = prefix.public(issuer, request.scope.get("root_path", ""))
    return JSONResponse(description.below(public, request.app.openapi()))


@router.get("/docs")
async def docs() -> FileResponse:
    """Swagger UI."""
    return FileResponse(_STATIC / "docs.html", headers={"Content-Security-Policy": _POLICY})
