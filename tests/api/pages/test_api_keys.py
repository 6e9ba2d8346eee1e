"""API keys created, replaced and revoked on the pages."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import PASSWORD, Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient, key_on

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]


def make_key(console: ConsoleClient, name: str = "Nightly report", **fields: Any) -> str:
    console.open("/account/api-keys/new")
    console.submit("/account/api-keys/new", name=name, **{"days": "90", **fields})
    return key_on(console)


def test_a_key_is_shown_once_and_works(ada: ConsoleClient, api: Client) -> None:
    key = make_key(ada)
    assert api.me(key).json()["email"] == "ada@example.org"
    ada.open("/account")
    assert "Nightly report" in ada.text
    assert key[-4:] in ada.text
    assert key not in ada.page.text


def test_a_key_has_the_chosen_scopes_and_lifetime(
    admin: ConsoleClient, api: Client, sql: Sql, clock: Clock
) -> None:
    plain, powerful = make_key(admin), make_key(admin, scope="admin", days="365")
    for key, status in ((plain, 403), (powerful, 200)):
        headers = {"X-API-Key": key}
        assert api.http.get("/admin/users", headers=headers).status_code == status
    [(days,), (longest,)] = sql(
        f"SELECT {clock.seconds_until('expires_at')} / 86400 FROM api_keys ORDER BY created_at"
    )
    assert 89 < float(days) < 90.1
    assert 364 < float(longest) < 365.1


def test_a_key_that_cannot_be_created_says_why_and_keeps_the_fields(ada: ConsoleClient) -> None:
    for fields, refusal in (
        ({"name": " ", "days": "90"}, "Use 1 to 200"),
        ({"name": "Report", "days": "90", "scope": "admin"}, "A scope was asked for"),
        ({"name": "Report", "days": "1000000"}, "Choose one of these."),
        # Not offered, because keys live for a year at most.
        ({"name": "Report", "days": ""}, "Choose one of these."),
    ):
        ada.open("/account/api-keys/new")
        ada.submit("/account/api-keys/new", **fields)
        assert ada.page.status_code in {400, 422}
        assert refusal in ada.text
    assert 'value="Report"' in ada.page.text


def test_creating_and_replacing_a_key_need_a_recent_password(
    ada: ConsoleClient, api: Client, sql: Sql, clock: Clock
) -> None:
    make_key(ada)
    [(key_id,)] = sql("SELECT id FROM api_keys")
    sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-301)}")
    ada.open("/account/api-keys/new")
    assert ada.submit("/account/api-keys/new", name="Second", days="30").status_code == 403
    ada.open("/account")
    assert ada.submit(f"/account/api-keys/{key_id}/rotate").status_code == 403
    assert sql("SELECT count(*) FROM api_keys") == [(1,)]
    ada.confirm(f"/account/api-keys/{key_id}/rotate")
    assert api.me(key_on(ada)).status_code == 200


def test_a_replaced_key_stays_valid_for_the_overlap(
    ada: ConsoleClient, api: Client, sql: Sql
) -> None:
    old = make_key(ada)
    [(key_id,)] = sql("SELECT id FROM api_keys")
    ada.open("/account")
    ada.submit(f"/account/api-keys/{key_id}/rotate")
    assert "The old key works on for 24 hours" in ada.text
    assert [api.me(key).status_code for key in (old, key_on(ada))] == [200, 200]
    ada.open("/account")
    assert "replaced" in ada.text
    assert ada.submit(f"/account/api-keys/{key_id}/rotate").status_code == 409


def test_a_revoked_key_is_refused_by_the_next_request(
    ada: ConsoleClient, api: Client, sql: Sql
) -> None:
    key = make_key(ada)
    [(key_id,)] = sql("SELECT id FROM api_keys")
    ada.open("/account")
    ada.submit(f"/account/api-keys/{key_id}/revoke")
    assert "The API key is revoked." in ada.text
    assert api.me(key).status_code == 401
    ada.open("/account")
    assert ada.submit(f"/account/api-keys/{key_id}/revoke").status_code == 404


def test_nobody_can_change_the_key_of_another_user(
    admin: ConsoleClient, api: Client, sql: Sql
) -> None:
    tokens = api.sign_up("ada@example.org")
    made = api.http.post("/api-keys", json={"name": "Ada's"}, headers=tokens.headers).json()
    for action in ("revoke", "rotate"):
        admin.open("/account")
        assert admin.submit(f"/account/api-keys/{made['id']}/{action}").status_code == 404
    assert api.me(made["key"]).status_code == 200


def test_an_administrator_sees_and_revokes_the_keys_of_a_user(
    admin: ConsoleClient, api: Client, sql: Sql
) -> None:
    tokens = api.sign_up("ada@example.org")
    made = api.http.post("/api-keys", json={"name": "Ada's"}, headers=tokens.headers).json()
    admin.open("/users/2")
    assert "Ada's" in admin.text
    # Under the name of somebody else it is not found.
    assert admin.submit(f"/users/1/api-keys/{made['id']}/revoke").status_code == 404
    admin.open("/users/2")
    admin.submit(f"/users/2/api-keys/{made['id']}/revoke")
    assert "The API key is revoked." in admin.text
    assert api.me(made["key"]).status_code == 401
    [(detail,)] = sql("SELECT detail FROM audit_events WHERE event = 'api_key.revoked'")
    assert "ended_by_administrator" in str(detail), "as /admin records it"


@pytest.mark.parametrize("kept", [{}, {"keep_api_keys": "yes"}])
def test_a_new_password_revokes_the_keys_unless_they_are_to_be_kept(
    ada: ConsoleClient, api: Client, kept: dict[str, str]
) -> None:
    key = make_key(ada)
    ada.open("/account/password")
    ada.submit(
        "/account/password",
        current_password=PASSWORD,
        new_password="four lions on a hill",
        repeated_password="four lions on a hill",
        **kept,
    )
    assert (api.me(key).status_code == 200) is bool(kept)
