"""A command-line tool that signs its user in, by a code or in a browser on the same computer.

Without dependencies. Register it, and run it:

    python api.py clients create Tool --id tool --scope account --redirect-uri http://127.0.0.1/ \
        --grant authorization_code --grant refresh_token --grant device_code
    python examples/command_line.py http://127.0.0.1:8000 tool
    python examples/command_line.py http://127.0.0.1:8000 tool --browser

The service's metadata say where everything is, so the address of the service and the id of the
client are all that it has to know.
"""

import argparse
import base64
import hashlib
import json
import secrets
import time
import urllib.error
import urllib.request
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Rejected(Exception):
    """The service has answered with an error, whose code is `error`."""

    def __init__(self, error: str) -> None:
        self.error = error
        super().__init__(error)


def discover(issuer: str) -> dict[str, Any]:
    """The metadata of the service (RFC 8414)."""
    parts = urlsplit(issuer)
    path = f"/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"
    metadata = read(f"{parts.scheme}://{parts.netloc}{path}")
    if metadata["issuer"] != issuer:
        raise Rejected("another issuer")
    return metadata


def log_in_by_code(metadata: dict[str, Any], client_id: str, scope: str) -> dict[str, Any]:
    """The device flow (RFC 8628): the user signs in anywhere, and types a code."""
    form = {"client_id": client_id, "scope": scope}
    begun = post(metadata["device_authorization_endpoint"], form)
    print(f"Open {begun['verification_uri_complete']}", flush=True)
    print(f"and compare the code: {begun['user_code']}", flush=True)
    interval = begun.get("interval", 5)
    poll = {
        "grant_type": DEVICE_GRANT,
        "device_code": begun["device_code"],
        "client_id": client_id,
    }
    while True:
        time.sleep(interval)
        try:
            return post(metadata["token_endpoint"], poll)
        except Rejected as rejected:
            if rejected.error == "slow_down":
                interval += 5
            elif rejected.error != "authorization_pending":
                raise


def log_in_by_browser(metadata: dict[str, Any], client_id: str, scope: str) -> dict[str, Any]:
    """The code flow with a listener on a free port of this computer (RFC 8252, 7.3)."""
    if "S256" not in metadata.get("code_challenge_methods_supported", []):
        raise Rejected("the service does not know PKCE")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    digest = hashlib.sha256(verifier.encode()).digest()
    with Listener() as listener:
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": listener.address,
            "scope": scope,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        address = f"{metadata['authorization_endpoint']}?{urlencode(parameters)}"
        print(f"Open {address}", flush=True)
        webbrowser.open(address)
        answer = listener.wait()
    if answer.get("state") != state or answer.get("iss") != metadata["issuer"]:
        raise Rejected("an answer to something else")
    if "code" not in answer:
        raise Rejected(answer.get("error", "no answer"))
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": answer["code"],
        "redirect_uri": listener.address,
        "code_verifier": verifier,
    }
    return post(metadata["token_endpoint"], form)


class Listener:
    """Waits for one answer, on a free port of this computer."""

    def __init__(self) -> None:
        self._answer: dict[str, str] = {}
        answers = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers.update(parse_qsl(urlsplit(self.path).query))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                self.wfile.write(b"You can close this window.")

            def log_message(self, *_: object) -> None:
                """The address holds the code, which belongs in no log."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait(self) -> dict[str, str]:
        """The parameters of the answer."""
        while "state" not in self._answer:
            self._server.handle_request()
        return self._answer


def post(address: str, form: dict[str, str]) -> dict[str, Any]:
    """Send a form. Raises Rejected."""
    return _send(urllib.request.Request(address, urlencode(form).encode()))


def read(address: str, token: str | None = None) -> dict[str, Any]:
    """Read JSON, with an access token if there is one. Raises Rejected."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return _send(urllib.request.Request(address, headers=headers))


def _send(request: urllib.request.Request) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        raise Rejected(json.loads(error.read() or b"{}").get("error", str(error))) from None
    return json.loads(body) if body else {}


def main() -> None:
    """Sign in, say who it is, and sign out."""
    parser = argparse.ArgumentParser(description="Signs in to Counterfoil.")
    parser.add_argument("issuer")
    parser.add_argument("client_id")
    parser.add_argument("--browser", action="store_true", help="use a browser on this computer")
    chosen = parser.parse_args()
    metadata = discover(chosen.issuer)
    log_in = log_in_by_browser if chosen.browser else log_in_by_code
    tokens = log_in(metadata, chosen.client_id, "account")
    me = read(f"{chosen.issuer}/users/me", tokens["access_token"])
    print(f"You are {me['email']}.", flush=True)
    form = {"client_id": chosen.client_id, "token": tokens["refresh_token"]}
    post(metadata["revocation_endpoint"], form)
    print("You are signed out.", flush=True)


if __name__ == "__main__":
    main()
