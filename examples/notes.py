"""Protected routes of your own: a notebook for each user, kept in memory to keep it short.

Serve it with `uvicorn examples.notes:app`; /docs then shows these routes beside Counterfoil's.
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
    """Whoever has a live token or API key."""
    return notes[identity.user_id]


@app.post("/notes", status_code=status.HTTP_201_CREATED)
async def add_note(
    identity: CurrentIdentity, text: Annotated[str, Body(embed=True, max_length=1000)]
) -> str:
    """Yours alone: the identity says whose they are."""
    notes[identity.user_id].append(text)
    return text


@app.get("/greeting")
async def greet(identity: OptionalIdentity) -> str:
    """Everyone; those who send a token by their name. One that is not live is refused here too."""
    return f"Hello, {identity.name if identity else 'stranger'}!"


@app.delete("/notes/{user_id}", dependencies=[requires("moderate")])
async def remove_notes(user_id: int) -> None:
    """Whoever has the scope `moderate`, which comes with the roles moderator and admin."""
    notes.pop(user_id, None)


@app.get("/notes/count", dependencies=[requires_role("admin")])
async def count_notes() -> int:
    """Administrators."""
    return sum(map(len, notes.values()))
