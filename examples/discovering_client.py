"""A client that knows nothing but the address of an API, as clients of the Model Context Protocol.

The API answers 401 and names its metadata (RFC 9728), those name the service that issues its
tokens, and the service's metadata name all endpoints (RFC 8414). Run the API, and the client:

    API_KEY=cfk_... uvicorn examples.discovering_client:app --port 8001
    python -m examples.discovering_client http://127.0.0.1:8001/greeting tool

The client is registered as that of command_line.py is.
"""

import os
import re
import sys
import urllib.error
import urllib.request
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from counterfoil.errors import InvalidToken, NotAuthenticated
from counterfoil.fastapi import Counterfoil, CurrentIdentity
from examples.command_line import Rejected, discover, log_in_by_browser, post, read

SERVICE = os.environ.get("SERVICE", "http://127.0.0.1:8000")
HERE = os.environ.get("HERE", "http://127.0.0.1:8001")
METADATA = "/.well-known/oauth-protected-resource"

app = FastAPI()
if __name__ != "__main__":
    # The client has no API key, and needs none.
    Counterfoil(app, url=SERVICE, api_key=os.environ.get("API_KEY", ""))


@app.exception_handler(NotAuthenticated)
@app.exception_handler(InvalidToken)
async def say_where_tokens_come_from(_: Request, error: Exception) -> Response:
    """401, with the address of the metadata (RFC 9728, 5.1)."""
    challenge = f'Bearer resource_metadata="{HERE}{METADATA}"'
    return JSONResponse({"detail": str(error)}, 401, {"WWW-Authenticate": challenge})


@app.get(METADATA)
async def describe() -> dict[str, Any]:
    """Which service issues the tokens of this API."""
    return {"resource": HERE, "authorization_servers": [SERVICE], "scopes_supported": ["account"]}


@app.get("/greeting")
async def greet(identity: CurrentIdentity) -> dict[str, str]:
    """What the client is after."""
    return {"greeting": f"Hello, {identity.name}!"}


def metadata_of_resource(address: str) -> dict[str, Any]:
    """What an API says of itself, once it has rejected a request without a token."""
    try:
        urllib.request.urlopen(address, timeout=30)
    except urllib.error.HTTPError as error:
        challenge = error.headers.get("WWW-Authenticate", "")
        found = re.search(r'resource_metadata="([^"]+)"', challenge)
        if found:
            return read(found[1])
    raise Rejected("the API does not say where its tokens come from")


def main() -> None:
    """Find out where to sign in, sign in, and call the API."""
    address, client_id = sys.argv[1:]
    resource = metadata_of_resource(address)
    metadata = discover(resource["authorization_servers"][0])
    scope = " ".join(resource["scopes_supported"])
    tokens = log_in_by_browser(metadata, client_id, scope)
    print(read(address, tokens["access_token"])["greeting"], flush=True)
    form = {"client_id": client_id, "token": tokens["refresh_token"]}
    post(metadata["revocation_endpoint"], form)


if __name__ == "__main__":
    main()
