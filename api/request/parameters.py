"""Parameters that several routes have in their paths."""

from typing import Annotated
from uuid import UUID

from fastapi import Path

from database import limits

UserId = Annotated[int, Path(ge=1, le=limits.MAX_ID, description="The id of the user.")]
SessionId = Annotated[UUID, Path(description="The id of the session.")]
RoleName = Annotated[
    str, Path(max_length=limits.MAX_ROLE_LENGTH, description="The name of the role.")
]
ApiKeyId = Annotated[UUID, Path(description="The id of the API key.")]
FactorId = Annotated[UUID, Path(description="The id of the authenticator app.")]
PasskeyId = Annotated[UUID, Path(description="The id of the passkey.")]
ClientId = Annotated[
    str, Path(max_length=limits.MAX_CLIENT_ID_LENGTH, description="The id of the client.")
]
