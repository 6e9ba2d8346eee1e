"""Recognises users who arrive by a link on another site.

Browsers do not send a SameSite=Strict cookie then. They send it when a page of ours reloads the
address, because that request comes from our own site.
"""

from fastapi import Request, Response

from api.web.rendering import own_address, page


def is_from_another_site(request: Request) -> bool:
    """Whether the cookies of the request may be missing although the browser has them."""
    is_get = request.method in {"GET", "HEAD"}
    return is_get and request.headers.get("sec-fetch-site") == "cross-site"


def reload(request: Request) -> Response:
    """A page that opens the same address again."""
    return page(request, "reload.html", address=own_address(request))
