"""Tells an application whose token it received: the part of Counterfoil that others install.

`counterfoil.fastapi` has the dependencies of a FastAPI application, `counterfoil.asgi` a middleware
for other frameworks, `counterfoil.testing` what their tests need. Everything else knows neither a
web framework nor the service's models and settings.
"""

from counterfoil.errors import (
    AmbiguousCredentials,
    CounterfoilError,
    DatabaseUnavailable,
    ForgedRequest,
    InsufficientRole,
    InsufficientScope,
    InsufficientUserAuthentication,
    IntrospectionUnavailable,
    InvalidToken,
    NotAuthenticated,
    SessionRequired,
    Unavailable,
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
    "InsufficientUserAuthentication",
    "IntrospectionUnavailable",
    "InvalidToken",
    "NotAuthenticated",
    "SessionRequired",
    "Unavailable",
    "__version__",
]
