"""What administrators do to accounts, roles and lists on pages."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from api.console.pages import users
from authentication.administration import operations
from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient, key_on

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]


def test_an_account_is_created_renamed_and_deleted(admin: ConsoleClient, api: Client) -> None:
    admin.open("/new-user")
    admin.submit("/new-user", email="new@example.org", name=" ", role="user")
    assert (admin.page.status_code, "new@example.org" in admin.page.text) == (422, True)
    admin.submit("/new-user", email="new@example.org", name="New", role="user")
    assert "The account is created. It has no password." in admin.text
    assert "no password" in admin.text
    own = admin.page.url.path.removeprefix("/console")
    admin.submit(f"{own}/names", email="newer@example.org", name="Newer", surname="", username="n")
    assert "The names are changed." in admin.text
    assert "newer@example.org" in admin.text
    admin.submit(f"{own}/delete")
    assert "The account is deleted" in admin.text
    assert admin.open(own).status_code == 404


def test_keys_of_a_service_account_are_made_and_revoked(
    admin: ConsoleClient, api: Client, sql: Sql, clock: Clock
) -> None:
    admin.open("/new-user")
    admin.submit("/new-user", email="reports@example.org", name="Reports", role="moderator")
    own = admin.page.url.path.removeprefix("/console")
    new = f"{own}/api-keys/new"
    offered = re.findall(r'name="scope" value="(\w+)"', admin.open(new).text)
    assert offered == ["moderate", "rotate"]
    wanted: dict[str, Any] = {
        "name": "Nightly",
        "days": "30",
        "scope": ["moderate", "rotate"],
    }
    sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-301)}")
    assert admin.submit(new, **wanted).status_code == 403
    admin.confirm(new)
    key = key_on(admin)
    me = api.http.get("/api-keys/current", headers={"X-API-Key": key}).json()
    assert (me["name"], me["scopes"]) == ("Nightly", ["moderate", "rotate"])
    assert key not in admin.open(own).text
    assert "Nightly" in admin.text
    [(key_id,)] = sql("SELECT id FROM api_keys")
    admin.submit(f"{own}/api-keys/{key_id}/revoke")
    assert "The API key is revoked." in admin.text
    assert api.me(key).status_code == 401


def test_a_key_that_cannot_be_made_for_a_service_account_says_why(
    admin: ConsoleClient, api: Client
) -> None:
    admin.open("/new-user")
    admin.submit("/new-user", email="reports@example.org", name="Reports", role="user")
    new = f"{admin.page.url.path.removeprefix('/console')}/api-keys/new"
    for fields, said in (
        ({"name": " ", "days": "90"}, "Use 1 to 200"),
        ({"name": "Report", "days": "90", "scope": "admin"}, "A scope was asked for"),
        ({"name": "Report", "days": "1"}, "Choose one of these."),
    ):
        admin.open(new)
        assert admin.submit(new, **fields).status_code in {400, 422}
        assert said in admin.text
    # A person makes their own keys.
    assert "New API key" not in admin.open("/users/1").text
    assert admin.open("/users/1/api-keys/new").status_code == 409
    admin.open(new)
    assert admin.submit("/users/1/api-keys/new", name="Report", days="90").status_code == 409
    assert admin.open("/users/9/api-keys/new").status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_role_is_created_changed_and_deleted(admin: ConsoleClient) -> None:
    admin.open("/roles")
    admin.submit("/roles/new", name="support", description="Reads orders", scopes="orders:read")
    assert "The role is created." in admin.text
    admin.submit("/roles/support/change", description="Writes", scopes="orders:write")
    assert 'value="orders:write"' in admin.page.text
    ticked = {"scopes": "orders:write", "requires_second_factor": "yes"}
    assert "checked>" in admin.submit("/roles/support/change", **ticked).text
    assert "checked>" not in admin.submit("/roles/support/change", scopes="").text
    assert "0 users have it" in admin.text
    strict = {"name": "strict", "requires_second_factor": "yes"}
    assert admin.submit("/roles/new", **strict).text.count("checked>") == 1
    admin.submit("/roles/strict/delete")
    admin.submit("/roles/support/delete")
    assert "/roles/support/" not in admin.page.text
    assert admin.submit("/roles/user/delete").status_code == 409


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_page_of_roles_says_that_they_cannot_be_changed(admin: ConsoleClient) -> None:
    admin.open("/roles")
    assert "The service may not change roles here." in admin.text
    assert "<button>Change" not in admin.page.text


def test_pages_lead_back_and_forth(
    admin: ConsoleClient, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "PAGE", 2)
    for number in range(5):
        api.register(f"user{number}@example.org")
    seen = [listed(admin, "/users?order=oldest")]
    seen += [listed(admin, follow(admin, "next")) for _ in range(2)]
    assert [len(page) for page in seen] == [2, 2, 2]
    assert listed(admin, follow(admin, "prev")) == seen[1]
    assert listed(admin, follow(admin, "prev")) == seen[0]
    assert 'rel="prev"' not in admin.page.text
    assert "6 users · Export as CSV" in admin.text


@pytest.mark.both_databases
def test_the_list_of_sessions_says_how_many_there_are(
    admin: ConsoleClient, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.open("/sessions")
    assert "1 session · Export as CSV" in admin.text
    api.sign_up("ada@example.org")
    admin.open("/sessions")
    assert "2 sessions · Export as CSV" in admin.text
    monkeypatch.setattr(operations, "MAX_COUNTED", 1)
    admin.open("/sessions")
    assert "Too many to count · Export as CSV" in admin.text


def follow(admin: ConsoleClient, relation: str) -> str:
    """The path of a link of the current page."""
    _, _, rest = admin.page.text.partition(f'rel="{relation}" href="')
    return rest.partition('"')[0].replace("&amp;", "&").removeprefix("/console")


def listed(admin: ConsoleClient, path: str) -> list[str]:
    """The addresses on a page."""
    admin.open(path)
    cells = admin.page.text.split('<a class="main-line" href="')[1:]
    return [cell.partition(">")[2].partition("<")[0] for cell in cells]


@pytest.mark.both_databases
def test_the_audit_log_has_seconds_and_the_year_and_is_searched_by_address(
    admin: ConsoleClient, api: Client, sql: Sql
) -> None:
    api.sign_up("ada@example.org")
    sql("UPDATE audit_events SET at = '2026-01-02 03:04:05' WHERE event = 'user.created'")
    admin.open("/events?subject=ADA@example.org")
    assert "2026-01-02 03:04:05" in admin.text
    assert "ada@example.org" in admin.text
    assert "root@example.org" not in admin.page.text.partition("<tbody>")[2]


@pytest.mark.both_databases
def test_lists_are_exported_by_the_session_of_the_console(
    admin: ConsoleClient,
) -> None:
    for path in ("/users.csv?q=root", "/sessions.csv", "/events.csv?subject=nobody@example.org"):
        assert admin.open(path).status_code == 200
        assert admin.page.headers["content-type"].startswith("text/csv")
    assert admin.page.text.strip() == "id,at,event,actor,subject,ip,detail"


def test_the_address_of_the_service_leads_to_the_console_or_to_its_documentation(
    make_client: Callable[..., Client],
) -> None:
    for settings, leads in (
        ({}, "/console/"),
        ({"console": False}, "/docs"),
        ({"issuer": "https://example.org/auth"}, "/auth/console/"),
    ):
        answer = make_client(**settings).http.get("/", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, leads)
    assert make_client(console=False, docs=False).http.get("/").status_code == 404
