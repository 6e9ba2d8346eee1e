"""Protected routes of your own: a notebook for each user, kept in memory for brevity.

Serve it with `uvicorn examples.notes:app`; /docs then shows these routes next to Counterfoil's.
"""

from collections import defaultdict
from typing import Annotated

from fastapi import Body
from starlette import status

from api import app
from api.dependencies import CurrentIdentity, OptionalIdentity, requires, requires_role

notes: defaultdict[int, list[str]] = defaultdict(list)


@app.get("/notes")
async def list_notes(identity: CurrentIdentity) -> list[str]:
    """Requires a live token or API key."""
    return notes[identity.user_id]


@app.post("/notes", status_code=status.HTTP_201_CREATED)
async def add_note(
    identity: CurrentIdentity, text: Annotated[str, Body(embed=True, max_length=1000)]
) -> str:
    """Adds to the notes of the user whose token was sent."""
    notes[identity.user_id].append(text)
    return text


@app.get("/greeting")
async def greet(identity: OptionalIdentity) -> str:
    """Open to everyone, and uses the name of a user. A token that is not live is rejected."""
    return f"Hello, {identity.name if identity else 'guest'}!"


@app.delete("/notes/{user_id}", dependencies=[requires("moderate")])
async def remove_notes(user_id: int) -> None:
    """Requires the scope `moderate`, which the roles moderator and admin grant."""
    notes.pop(user_id, None)


@app.get("/notes/count", dependencies=[requires_role("admin")])
async def count_notes() -> int:
    """Requires the role `admin`."""
    return sum(map(len, notes.values()))
