"""A session cookie counts only in a request of a page of the same origin."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from counterfoil import cookies
from counterfoil.cookies import NAME, ON_BEHALF, SessionCookie
from counterfoil.errors import AmbiguousCredentials, ForgedRequest

TOKEN = "cfa_token"
COOKIE = f"theme=dark; {NAME}={TOKEN}"
WITH_HEADER = {"x-counterfoil-csrf": "1"}


def find(
    headers: Mapping[str, str] = MappingProxyType({}),
    *,
    method: str = "GET",
    cookie: SessionCookie | None = None,
    more: Mapping[str, object] = MappingProxyType({}),
) -> str | None:
    """The token that counts in a request to example.org with the cookie and these headers."""
    sent = {"host": "example.org", "cookie": COOKIE, **headers}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "headers": raw, **more}
    if scope["type"] == "websocket":
        del scope["method"]
    return (cookie or SessionCookie()).find(scope)


OWN: list[dict[str, str]] = [
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
    # The origin that a proxy has changed does not count if the browser says more.
    {"sec-fetch-site": "same-origin", "origin": "https://public.example.org"},
    {"origin": "https://example.org"},
    {},
]
FOREIGN: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": ""},
    {"sec-fetch-site": "same-site", "origin": "https://example.org"},
    {"origin": "https://evil.example"},
    {"origin": "https://app.example.org"},
    {"origin": "https://example.org:8443"},
    {"origin": "http://example.org"},
    {"origin": "null"},
    {"origin": "https://[broken"},
    {"origin": "", "host": ""},
]


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_a_page_of_the_same_origin_uses_the_cookie(headers: dict[str, str]) -> None:
    assert find(headers) == TOKEN
    for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND"):
        assert find({**headers, **WITH_HEADER}, method=method) == TOKEN


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_origin_does_not_whatever_it_sends(headers: dict[str, str]) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        with pytest.raises(ForgedRequest):
            find({**headers, **WITH_HEADER}, method=method)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("header", [{}, {"x-counterfoil-csrf": ""}], ids=["none", "empty"])
def test_what_could_change_something_needs_the_header(method: str, header: dict[str, str]) -> None:
    with pytest.raises(ForgedRequest, match="X-Counterfoil-CSRF"):
        find({"sec-fetch-site": "same-origin", **header}, method=method)


ON_BEHALF_OF_ANOTHER: dict[str, object] = {ON_BEHALF: True}


def test_on_behalf_of_another_request_every_method_needs_the_header() -> None:
    with pytest.raises(ForgedRequest):
        find(more=ON_BEHALF_OF_ANOTHER)
    assert find(WITH_HEADER, more=ON_BEHALF_OF_ANOTHER) == TOKEN


def test_a_proxy_may_change_the_host_if_the_origin_is_named() -> None:
    cookie = SessionCookie(["https://Public.example.org"])
    assert find({"origin": "https://public.example.org"}, cookie=cookie) == TOKEN
    with pytest.raises(ForgedRequest):
        find({"origin": "http://public.example.org"}, cookie=cookie)


@pytest.mark.parametrize(
    "origins",
    ["https://example.org", ["https://example.org/"], ["example.org"], ["https://a, https://b"]],
)
def test_what_no_browser_sends_as_an_origin_is_rejected(origins: Any) -> None:
    with pytest.raises(ValueError, match="origin"):
        SessionCookie(origins)


def test_on_this_machine_plain_http_will_do() -> None:
    assert find({"host": "localhost:8000", "origin": "http://localhost:8000"}) == TOKEN
    assert find({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}) == TOKEN


WEBSOCKET: dict[str, object] = {"type": "websocket"}


def test_a_websocket_needs_an_origin() -> None:
    assert find({"origin": "https://example.org"}, more=WEBSOCKET) == TOKEN
    assert find({"sec-fetch-site": "same-origin"}, more=WEBSOCKET) == TOKEN
    nothing: dict[str, str] = {}
    for headers in (nothing, *FOREIGN):
        with pytest.raises(ForgedRequest):
            find(headers, more=WEBSOCKET)


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        f"{NAME}=",
        f"counterfoil_browser_session={TOKEN}",
        f"__Host-counterfoil_session={TOKEN}",
        f"x{NAME}={TOKEN}",
        f"{NAME.lower()}={TOKEN}",
    ],
)
def test_another_cookie_is_none(cookie: str) -> None:
    assert cookies.read([(b"cookie", cookie.encode())]) is None
    # Nothing is checked either: there is nothing to protect.
    scope = {"type": "http", "method": "POST", "headers": [(b"cookie", cookie.encode())]}
    assert SessionCookie().find(scope) is None


def test_two_cookies_are_ambiguous_and_the_same_one_twice_is_not() -> None:
    twice = [(b"cookie", COOKIE.encode()), (b"cookie", COOKIE.encode())]
    assert cookies.read(twice) == TOKEN
    for other in (
        [(b"cookie", f"{COOKIE}; {NAME}=cfa_other".encode())],
        [*twice, (b"cookie", f"{NAME}=cfa_other".encode())],
    ):
        with pytest.raises(AmbiguousCredentials):
            cookies.read(other)
