"""Links from one page of a list to the next, where the body is a bare array (RFC 8288)."""

from typing import Any
from urllib.parse import urlencode

from fastapi import Response

from authentication.administration.paging import Page
from schemas.paging import ListQuery

LINK: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Link": {
                "description": "Leads to the next page, unless this is the last.",
                "schema": {"type": "string"},
                "example": '<?limit=100&cursor=WyIyMDI2LTExLTIx>; rel="next"',
            }
        }
    }
}


def link(response: Response, page: Page[Any], query: ListQuery) -> None:
    """Add the link to the next page, relative to this one, so that it fits behind any proxy."""
    if page.next_cursor is not None:
        parameters = urlencode({"limit": query.limit, "cursor": page.next_cursor})
        response.headers["Link"] = f'<?{parameters}>; rel="next"'
