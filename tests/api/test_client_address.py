"""Whose address is written down: the peer's, or what a trusted proxy says of it."""

from tests.support.client import PASSWORD, Client, MakeClient


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
    for text in ("unknown", "", "192.0.2.7:80", "' OR 1=1", "fe80::1%" + "x" * 500):
        assert address_of_login(client, text) == "10.0.0.1"
