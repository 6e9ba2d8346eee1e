"""Tells an application whose token it received: the part of Counterfoil that others install.

`counterfoil.fastapi` has the dependencies of a FastAPI application. Everything else knows neither
a web framework nor the service's models and settings.
"""

from counterfoil.errors import (
    AmbiguousCredentials,
    CounterfoilError,
    DatabaseUnavailable,
    ForgedRequest,
    InsufficientRole,
    InsufficientScope,
    InvalidToken,
    NotAuthenticated,
    SessionRequired,
)
from counterfoil.identity import CredentialKind, Identity

__version__ = "0.1.0"

__all__ = [
    "AmbiguousCredentials",
    "CounterfoilError",
    "CredentialKind",
    "DatabaseUnavailable",
    "ForgedRequest",
    "Identity",
    "InsufficientRole",
    "InsufficientScope",
    "InvalidToken",
    "NotAuthenticated",
    "SessionRequired",
    "__version__",
]
