"""Parameters that several routes have in their paths."""

from typing import Annotated

from fastapi import Path

UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]
