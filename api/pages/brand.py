"""Serves the logo and the colours of the application."""

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from api.request.static_files import CACHED
from api.web.branding import PATH, Brand

router = APIRouter()

# A logo is an image of a page, where nothing in it runs; this is for a browser that opens it alone.
_HARMLESS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}


@router.get(PATH + "/{name}")
async def show_file(request: Request, name: str) -> Response:
    """The file of that name."""
    brand: Brand = request.app.state.brand
    found = brand.find(name)
    if found is None:
        raise HTTPException(404)
    headers = {"Cache-Control": CACHED, **_HARMLESS}
    return Response(found.content, headers=headers, media_type=found.media_type)
