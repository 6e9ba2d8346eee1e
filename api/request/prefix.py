"""The path below which the service is reached, as clients see it and as the server sees it."""

from urllib.parse import urlsplit

from starlette.types import Scope

# Where clients look for an issuer's metadata (RFC 8414, 3). The path of the issuer comes after it.
METADATA_PATH = "/.well-known/oauth-authorization-server"


def path_of(scope: Scope) -> str:
    """The path of a request as routes name it: without what another application or server added."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :] or "/"
    return path


def public(issuer: str, root_path: str) -> str:
    """What comes before our paths in a browser: the path of the issuer, if it has one.

    A proxy may remove that before it forwards a request. Without one, it is the path at which
    another application has mounted ours. Empty, or begins with a slash and does not end with one.
    """
    return urlsplit(issuer).path.rstrip("/") or root_path.rstrip("/")
