"""Second factors of users: an authenticator app, and logins with it."""

import time
from base64 import b32decode
from dataclasses import dataclass
from typing import Any

from httpx2 import Response
from pyotp import TOTP

from authentication.factors import sealing
from tests.support.administrator import Sql
from tests.support.client import Client, Tokens, read_tokens

SECRET_KEY = sealing.create_key()


@dataclass(frozen=True, slots=True)
class App:
    """An authenticator app that was confirmed, and the recovery codes that came with it."""

    id: str
    secret: str
    recovery_codes: list[str]

    def code(self, steps: int = 0) -> str:
        """The code of this moment, or of so many steps of 30 seconds later."""
        return TOTP(self.secret).at(int(time.time()) + 30 * steps)

    @property
    def secret_bytes(self) -> bytes:
        return b32decode(self.secret)


def wait_for_next_code(sql: Sql) -> None:
    """Let the apps show codes that have not been used, as they do after half a minute."""
    sql("UPDATE totp_factors SET last_step = 0")


def begin(client: Client, tokens: Tokens, **fields: Any) -> Response:
    return client.http.post("/factors/totp", headers=tokens.headers, json=fields)


def confirm(client: Client, tokens: Tokens, code: str) -> Response:
    return client.http.post("/factors/totp/confirm", headers=tokens.headers, json={"code": code})


def enrol(client: Client, tokens: Tokens, sql: Sql) -> App:
    """Add an app and confirm it. Its present code can be used once more."""
    made = begin(client, tokens, name="Ada's app")
    assert made.status_code == 201, made.text
    app = App(made.json()["id"], made.json()["secret"], [])
    confirmed = confirm(client, tokens, app.code())
    assert confirmed.status_code == 200, confirmed.text
    wait_for_next_code(sql)
    return App(app.id, app.secret, confirmed.json()["recovery_codes"])


def mfa_token(response: Response) -> str:
    """What a login was answered with that waits for its second factor."""
    assert response.status_code == 401, response.text
    assert response.json()["code"] == "second_factor_required"
    token: str = response.json()["mfa_token"]
    return token


def complete(client: Client, token: str, **given: str) -> Response:
    return client.http.post("/login/second-factor", json={"mfa_token": token, **given})


def log_in(client: Client, app: App, **fields: Any) -> Tokens:
    """Log in with the password and the present code."""
    waiting = mfa_token(client.try_to_log_in(**fields))
    return read_tokens(complete(client, waiting, code=app.code()))


def confirm_session(client: Client, tokens: Tokens, **given: str) -> Response:
    return client.http.post("/sessions/confirm", headers=tokens.headers, json=given)


def age(sql: Sql, database_url: str) -> None:
    """Let all sessions be confirmed an hour ago."""
    if database_url.startswith("sqlite"):
        hour_ago = "strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour')"
    else:
        hour_ago = "now() - interval '1 hour'"
    sql(f"UPDATE sessions SET confirmed_at = {hour_ago}")
