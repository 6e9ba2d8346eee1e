"""An HTTP client that never raises: an Answer also says that there was no response."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

PASSWORD = "correct horse battery staple"
# Far longer than any deadline of the service.
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `status` is 0 if the connection was refused or broke; `error` then says how.

    `began` and `ended` are in seconds of the monotonic clock.
    """

    call: str
    began: float
    ended: float
    status: int
    error: str = ""
    retry_after: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair of tokens."""

    access_token: str
    refresh_token: str


class Caller:
    """A client with one connection, which it opens again if it is closed.

    `source` is the client's address, any of 127.0.0.0/8.
    """

    def __init__(self, url: str, *, source: str = "127.0.0.1") -> None:
        address = urlsplit(url)
        self._http = http.client.HTTPConnection(
            str(address.hostname),
            address.port,
            timeout=_TIMEOUT_SECONDS,
            source_address=(source, 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json_body: Mapping[str, Any] | None = None,
        form: Mapping[str, str | bytes] | None = None,
        source: str | None = None,
    ) -> Answer:
        """`source` is an address that a trusted proxy would name as the client's."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if source is not None:
            headers["X-Forwarded-For"] = source
        body = None
        if json_body is not None:
            body, headers["Content-Type"] = json.dumps(json_body), "application/json"
        elif form is not None:
            body, headers["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
        call, began = f"{method} {path}", time.monotonic()
        try:
            self._http.request(method, path, body, headers)
            response = self._http.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            return Answer(call, began, time.monotonic(), 0, type(error).__name__)
        retry_after = response.headers["Retry-After"]
        return Answer(call, began, time.monotonic(), response.status, "", retry_after, _read(text))

    def log_in(self, email: str, password: str = PASSWORD, **fields: str) -> Answer:
        body = {"email": email, "password": password, **fields}
        return self.call("POST", "/login", json_body=body)

    def use(self, access_token: str) -> Answer:
        return self.call("GET", "/users/me", token=access_token)

    def refresh(self, refresh_token: str) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self.call("POST", "/token", form=form)

    def revoke(self, token: str) -> Answer:
        return self.call("POST", "/revoke", form={"token": token})

    def log_out(self, access_token: str) -> Answer:
        return self.call("POST", "/logout", token=access_token)


def register(caller: Caller, email: str) -> Answer:
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    return caller.call("POST", "/register", json_body=body)


def read_tokens(answer: Answer) -> Tokens:
    """The tokens of an answer, which must be successful."""
    return Tokens(answer.body["access_token"], answer.body["refresh_token"])


def _read(text: bytes) -> dict[str, Any]:
    try:
        read = json.loads(text or b"{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
