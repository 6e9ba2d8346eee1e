"""Why a credential is rejected. These errors know no HTTP: see counterfoil/problems.py.

CounterfoilError
├── NotAuthenticated            no credential was sent
├── InvalidToken                a credential was sent that is not live
├── AmbiguousCredentials        more than one was sent
├── ForgedRequest               a cookie was sent, and another site may have caused the request
├── InsufficientScope           the scopes do not suffice
├── InsufficientRole            the roles do not suffice
├── InsufficientUserAuthentication   the user confirmed who they are too long ago, or too weakly
└── SessionRequired             an API key was sent where a session is required

Unavailable                     no credential can be checked at the moment
├── DatabaseUnavailable         because of the database
└── IntrospectionUnavailable    because of the service that is asked
"""


class CounterfoilError(Exception):
    """`code` is stable and meant for programs; `detail` is meant for people."""

    code = "error"
    detail = "The request was rejected."

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)


class NotAuthenticated(CounterfoilError):
    code = "not_authenticated"
    detail = "This needs an access token."


class InvalidToken(CounterfoilError):
    code = "invalid_token"
    detail = "The token is not valid."


class AmbiguousCredentials(CounterfoilError):
    code = "ambiguous_credentials"
    detail = "More than one credential was sent. Send one."


class ForgedRequest(CounterfoilError):
    code = "csrf_check_failed"
    detail = "A request with a session cookie must come from a page of the same origin."


class InsufficientScope(CounterfoilError):
    code = "insufficient_scope"

    def __init__(self, scopes: frozenset[str]) -> None:
        self.scopes = scopes
        super().__init__(f"This needs the scope {' '.join(sorted(scopes))}.")


class InsufficientRole(CounterfoilError):
    code = "insufficient_role"

    def __init__(self, roles: frozenset[str]) -> None:
        self.roles = roles
        super().__init__(f"This needs the role {' or '.join(sorted(roles))}.")


class InsufficientUserAuthentication(CounterfoilError):
    """RFC 9470. `max_age_seconds` is how long ago the user may have confirmed who they are.

    None if that does not matter. With `needs_second_factor`, a password was not enough.
    """

    code = "insufficient_user_authentication"
    detail = "This needs you to confirm who you are once more."

    def __init__(self, max_age_seconds: int | None, *, needs_second_factor: bool = False) -> None:
        self.max_age_seconds = max_age_seconds
        self.needs_second_factor = needs_second_factor
        super().__init__("This needs your second factor." if needs_second_factor else None)


class SessionRequired(CounterfoilError):
    code = "session_required"
    detail = "This needs the access token of a session; an API key will not do."


class Unavailable(Exception):
    """Its text is for the log; `code` and `detail` are for the answer."""

    code = "unavailable"
    detail = "Tokens cannot be checked at the moment."


class DatabaseUnavailable(Unavailable):
    """The database is down, too slow or too busy to answer within the deadline.

    A write that raises this may have been committed: the answer to COMMIT can be lost on its way.
    """

    code = "database_unavailable"
    detail = "The database cannot be reached at the moment."


class IntrospectionUnavailable(Unavailable):
    """The service is down or too slow, rejects our API key, or is no such service at all."""

    code = "introspection_unavailable"
