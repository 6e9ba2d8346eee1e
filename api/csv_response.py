"""Streams rows as CSV (RFC 4180), for as long as the caller may read them."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from fastapi.responses import StreamingResponse

Row = Sequence[object]

# What spreadsheets take for the beginning of a formula, some also in full width. Names are what
# users have chosen.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def stream(
    name: str,
    columns: Row,
    batches: AsyncIterator[list[Row]],
    *,
    is_allowed: Callable[[], Awaitable[bool]],
) -> StreamingResponse:
    """A response that is saved as `name`. One batch is in memory at a time.

    The caller is checked again before each batch, as a download can take minutes. If they may not
    read any more, or the database is unavailable, the response is cut off: its end is missing, so
    that no program takes it for complete.
    """

    async def text() -> AsyncIterator[str]:
        yield _write([columns])
        async for rows in batches:
            if not await is_allowed():
                raise PermissionError("the caller may not read the rest of this list any more")
            yield _write(rows)

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(text(), media_type="text/csv", headers=headers)


def _write(rows: Sequence[Row]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
