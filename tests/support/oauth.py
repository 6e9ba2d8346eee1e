"""Registered clients that speak OAuth by hand, with a browser in which their user decides."""

import base64
import html
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from httpx2 import Response

from tests.support.console import ConsoleClient

CALLBACK = "https://calendar.example.org/callback"
ISSUER = "http://127.0.0.1:8000"
SECRET = "cfs_a-secret-that-only-the-client-knows"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

_VERIFIER = "correct-horse-battery-staple.correct~horse_battery"
_REFRESH = re.compile(r'<meta http-equiv="refresh" content="0; url=([^"]+)">')
_TRANSACTION = re.compile(r'name="transaction" value="([^"]+)"')


def challenge_of(verifier: str) -> str:
    digest = sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def add_client(
    sql: Callable[..., Any], database_url: str, client_id: str = "calendar", **fields: Any
) -> None:
    """Register a client by SQL. `secret` makes it confidential."""
    secret = fields.pop("secret", None)
    values = {
        "id": client_id,
        "name": "Calendar",
        "redirect_uris": CALLBACK,
        "scopes": "account",
        "grants": f"authorization_code refresh_token {DEVICE_GRANT}",
        **fields,
    }
    names, literals = list(values), [_literal(value) for value in values.values()]
    if secret is not None:
        digest = sha256(secret.encode()).hexdigest()
        is_sqlite = database_url.startswith("sqlite")
        names.append("secret_digest")
        literals.append(f"X'{digest}'" if is_sqlite else f"'\\x{digest}'")
    sql(f"INSERT INTO oauth_clients ({', '.join(names)}) VALUES ({', '.join(literals)})")


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, bool | int) else f"'{value}'"


class Application:
    """A client. What it sends is right unless a test changes it; None leaves a field out."""

    def __init__(
        self, browser: ConsoleClient, client_id: str = "calendar", secret: str | None = None
    ) -> None:
        self.browser = browser
        self.client_id = client_id
        self.secret = secret

    def address(self, **changes: Any) -> str:
        """Where it sends the browser."""
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "state": "a state & more",
            "code_challenge": challenge_of(_VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        return f"/authorize?{urlencode({k: v for k, v in parameters.items() if v is not None})}"

    def open(self, headers: dict[str, str] | None = None, **changes: Any) -> Response:
        """Send the browser to /authorize, whose redirects it does not follow."""
        self.browser.page = self.browser.http.get(
            self.address(**changes), headers=headers, follow_redirects=False
        )
        return self.browser.page

    def ask(self, decision: str = "allow", **changes: Any) -> dict[str, str]:
        """The parameters of the answer, after the user has decided if they are asked."""
        page = self.open(**changes)
        if found := _TRANSACTION.search(page.text):
            page = self.decide(decision, found[1])
        return answer_of(page)

    def decide(self, decision: str, transaction: str) -> Response:
        fields = {"decision": decision, "transaction": transaction}
        return self.browser.submit("/authorize/decision", **fields)

    def get_code(self, **changes: Any) -> str:
        return self.ask(**changes)["code"]

    def redeem(self, code: str, **changes: Any) -> Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": _VERIFIER,
            **changes,
        }
        return self.post("/token", **form)

    def log_in(self, **changes: Any) -> dict[str, Any]:
        """The tokens that a code is exchanged for."""
        answer = self.redeem(self.get_code(**changes))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def refresh(self, refresh_token: str, **changes: Any) -> Response:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes}
        return self.post("/token", **form)

    def post(self, path: str, **form: Any) -> Response:
        own = {"client_id": self.client_id, "client_secret": self.secret}
        sent = {name: value for name, value in {**own, **form}.items() if value is not None}
        return self.browser.http.post(path, data=sent)

    def call(self, tokens: dict[str, Any]) -> int:
        """The status of a request with its access token."""
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self.browser.http.get("/users/me", headers=headers).status_code


def answer_of(response: Response) -> dict[str, str]:
    """The parameters that a client gets, by a redirect or by the page that leads there."""
    location = response.headers.get("location", "")
    if found := _REFRESH.search(response.text):
        location = html.unescape(found[1])
    assert location.startswith(CALLBACK), (response.status_code, location, response.text)
    return dict(parse_qsl(urlsplit(location).query))


def transaction_of(page: Response) -> str:
    """What the form of the consent page carries."""
    found = _TRANSACTION.search(page.text)
    assert found is not None, page.text
    return found[1]
