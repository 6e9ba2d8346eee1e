"""Parameters that several routes have in their paths."""

from typing import Annotated

from fastapi import Path

from database import limits

UserId = Annotated[int, Path(ge=1, le=limits.MAX_ID)]
