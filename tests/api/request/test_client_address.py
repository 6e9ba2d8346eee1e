"""Whose address counts, behind proxies that are trusted and those that are not."""

import pytest
from starlette.requests import Request

from api.request import client_address
from api.settings import ApiSettings
from tests.support.client import PASSWORD, Client, MakeClient

pytestmark = pytest.mark.one_database

PROXIES = ApiSettings(trusted_proxies=("10.0.0.0/8", "2001:db8:1::/48")).proxy_networks


def address_of(peer: str | None, *forwarded: str, trusting: bool = True) -> str | None:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    client = (peer, 50000) if peer is not None else None
    request = Request({"type": "http", "headers": headers, "client": client})
    return client_address.of(request, PROXIES if trusting else ())


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9:50000"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::7]:50000"], "2001:db8::7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["64:ff9b::1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["[64:ff9b::101:102]:50000"], "1.1.1.2"),
        ("64:ff9b::1.1.1.1", ["203.0.113.9"], "1.1.1.1"),
        ("10.0.0.1", ["64:ff9b::127.0.0.1"], "64:ff9b::7f00:1"),
        ("64:ff9b::10.0.0.1", ["203.0.113.9"], "64:ff9b::a00:1"),
        ("10.0.0.1", ["64:ff9b:1::1.1.1.1"], "64:ff9b:1::101:101"),
        ("2001:db8:1::1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        (None, ["203.0.113.9"], "203.0.113.9"),
        (None, [], None),
    ],
)
def test_the_nearest_address_that_no_trusted_proxy_has_counts(
    peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    assert address_of(peer, *forwarded) == expected


def test_a_client_cannot_choose_its_address() -> None:
    assert address_of("203.0.113.9", "198.51.100.1") == "203.0.113.9"
    assert address_of("10.0.0.1", "198.51.100.1, 203.0.113.9") == "203.0.113.9"
    assert address_of("10.0.0.1", "10.0.0.5, 203.0.113.9, 10.0.0.2") == "203.0.113.9"


def test_nobody_is_believed_unless_a_proxy_is_named() -> None:
    assert address_of("10.0.0.1", "198.51.100.1", trusting=False) == "10.0.0.1"
    assert address_of(None, "198.51.100.1", trusting=False) is None


@pytest.mark.parametrize(
    "garbage", ["", " ", "unknown", "_hidden", "1.2.3", "[", "\x00", "9" * 9999]
)
def test_what_is_no_address_leaves_that_of_the_proxy(garbage: str) -> None:
    assert address_of("10.0.0.1", garbage) == "10.0.0.1"
    assert address_of("10.0.0.1", f"198.51.100.1, {garbage}") == "10.0.0.1"


def test_ipv4_through_an_ipv6_socket_is_ipv4() -> None:
    assert address_of("::ffff:203.0.113.9") == "203.0.113.9"
    assert address_of("::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"


def test_a_zone_of_any_length_is_dropped() -> None:
    assert address_of("10.0.0.1", f"fe80::1%{'z' * 500}") == "fe80::1"


def address_of_login(client: Client, *forwarded: str) -> str | None:
    """The address that the session of a login shows."""
    client.register()
    body = {"email": "ada@example.org", "password": PASSWORD}
    headers = [("X-Forwarded-For", line) for line in forwarded]
    token = client.http.post("/login", json=body, headers=headers).json()["access_token"]
    found = client.http.get("/sessions", headers={"Authorization": f"Bearer {token}"}).json()
    address: str | None = found[0]["ip"]
    return address


def from_proxy(make_client: MakeClient, **settings: str) -> Client:
    """A client whose peer is 10.0.0.1."""
    client = make_client(**settings)
    client.http._transport.client = ("10.0.0.1", 1234)  # type: ignore[attr-defined]
    return client


def test_a_forwarded_address_is_not_believed_unless_a_proxy_is_trusted(
    make_client: MakeClient,
) -> None:
    assert address_of_login(from_proxy(make_client), "192.0.2.7") == "10.0.0.1"
    other = from_proxy(make_client, trusted_proxies="10.1.0.0/16")
    assert address_of_login(other, "192.0.2.7") == "10.0.0.1"


def test_behind_trusted_proxies_the_first_other_address_from_the_right_counts(
    make_client: MakeClient,
) -> None:
    client = from_proxy(make_client, trusted_proxies="10.0.0.0/8")
    assert address_of_login(client, "192.0.2.7") == "192.0.2.7"
    assert address_of_login(client, "6.6.6.6, 192.0.2.7, 10.0.0.2") == "192.0.2.7"
    assert address_of_login(client, "6.6.6.6", "192.0.2.7", "10.0.0.2") == "192.0.2.7"
    assert address_of_login(client, "2001:DB8::0:7") == "2001:db8::7"


def test_what_is_no_address_is_passed_over(make_client: MakeClient) -> None:
    client = from_proxy(make_client, trusted_proxies="10.0.0.0/8")
    for text in ("unknown", "", "' OR 1=1"):
        assert address_of_login(client, text) == "10.0.0.1"
