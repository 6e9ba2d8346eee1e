"""Parameters of lists that are answered as a bare array, page by page."""

from pydantic import Field

from schemas.base import Parameters


class ListQuery(Parameters):
    """The header `Link` of a page leads to the next (RFC 8288)."""

    limit: int = Field(100, ge=1, le=200)
    """The maximum number of items on the page."""

    cursor: str | None = Field(
        None, max_length=200, description="Taken from the header `Link` of the page before."
    )
