"""Every form of every page: its CSRF field, where it leads, and how it takes passwords."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from api.web import csrf
from tests.support import markup
from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient, address
from tests.support.oauth import Application, add_client

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]

UUID = r"[0-9a-f]{8}-[0-9a-f-]{27}"


@pytest.fixture
def pages(
    admin: ConsoleClient, api: Client, sql: Sql, clock: Clock
) -> dict[str, tuple[str, str | None]]:
    """The text of each page that has a form, by a name, with the key of its CSRF tokens."""
    ada = api.sign_up("ada@example.org")
    # Some buttons are there only for those who are signed in more than once.
    api.log_in("ada@example.org")
    api.sign_up("off@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'off@example.org'")
    root = api.log_in("root@example.org")
    for tokens in (ada, root):
        api.create_api_key(tokens)
    shown: dict[str, tuple[str, str | None]] = {}
    for path in (
        *("/", "/users", "/users/2", "/users/3", "/sessions", "/events"),
        *("/account", "/account/password", "/account/api-keys/new", "/account/profile"),
        "/account/email",
    ):
        shown[path] = admin.open(path).text, admin.token
    sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-301)}")
    admin.open("/users/2")
    shown["confirm"] = admin.submit("/users/2/disable").text, admin.token
    admin.submit("/sign-out")
    text = admin.open("/sign-in").text
    shown["/sign-in"] = text, admin.http.cookies["__Host-counterfoil_sign_in"]
    return shown


def test_each_form_that_changes_something_has_a_csrf_token_of_its_session(
    pages: dict[str, tuple[str, str | None]],
) -> None:
    for name, (text, key) in pages.items():
        assert_tokens(name, text, key)


@pytest.mark.parametrize("path", ["/roles", "/new-user", "/clients/new", "/account/factors"])
def test_so_has_each_form_of_pages_for_clients_roles_and_factors(
    admin: ConsoleClient, path: str
) -> None:
    page = admin.open(path)
    assert page.status_code == 200
    assert_tokens(path, page.text, admin.token)


def test_so_has_each_form_by_which_a_user_gives_access(
    ada: ConsoleClient, sql: Sql, database_url: str
) -> None:
    add_client(sql, database_url)
    calendar = Application(ada)
    code = calendar.post("/device_authorization").json()["user_code"]
    for name, page in (
        ("authorize/decision", calendar.open()),
        ("device", ada.open("/device")),
        ("device/decision", ada.submit("/device", user_code=code)),
    ):
        assert_tokens(name, page.text, ada.token)
        assert f"/{name}" in targets_of(page.text)
    calendar.ask()
    text = ada.open("/account").text
    assert "/account/applications/calendar/remove" in targets_of(text)
    assert_tokens("application", text, ada.token)


def targets_of(text: str) -> list[str]:
    return [target for form in markup.forms(text) for target in form.targets]


def assert_tokens(name: str, text: str, key: str | None) -> None:
    sending = [form for form in markup.forms(text) if form.method == "post"]
    assert sending, name
    for form in sending:
        [token] = form.values(csrf.FIELD)
        salt = token[: csrf._SALT_LENGTH]
        assert token == salt + csrf._sign(str(key), salt), (name, form.targets)


def test_no_form_for_a_search_sends_a_csrf_token(pages: dict[str, tuple[str, str | None]]) -> None:
    """It would stand in the address."""
    searches = [form for text, _ in pages.values() for form in markup.forms(text)]
    searches = [form for form in searches if form.method == "get"]
    assert len(searches) == 3
    assert not any(form.values(csrf.FIELD) for form in searches)


def test_forms_and_buttons_lead_to_all_that_the_console_can_do_and_nowhere_else(
    pages: dict[str, tuple[str, str | None]], admin: ConsoleClient
) -> None:
    targets = {
        target.removeprefix("/console")
        for text, _ in pages.values()
        for form in markup.forms(text)
        if form.method == "post"
        for target in form.targets
    }
    offered = {re.sub(UUID, "{id}", re.sub(r"^/users/\d+", "/users/{id}", one)) for one in targets}
    assert offered == {
        "/account/api-keys/new",
        "/account/api-keys/{id}/revoke",
        "/account/api-keys/{id}/rotate",
        "/account/email",
        "/account/password",
        "/account/profile",
        "/account/sessions/end",
        "/account/sessions/end-others",
        "/sessions/end",
        "/sessions/end-everybody",
        "/sign-in",
        "/sign-in/passkey",
        "/sign-out",
        "/users/{id}/api-keys/{id}/revoke",
        "/users/{id}/delete",
        "/users/{id}/disable",
        "/users/{id}/enable",
        "/users/{id}/names",
        "/users/{id}/roles",
        "/users/{id}/sessions/end",
        "/users/{id}/sessions/end-all",
    }
    admin.sign_in("root@example.org")
    for target in targets:
        # Without a token each of them is rejected, and not unknown.
        answer = admin.http.post(address(target), data={csrf.FIELD: "none"})
        assert answer.status_code == 403, target


def test_passwords_are_typed_in_password_fields(pages: dict[str, tuple[str, str | None]]) -> None:
    fields = [field for text, _ in pages.values() for field in markup.inputs(text)]
    passwords = [field for field in fields if "password" in field.get("name", "")]
    assert {field["name"] for field in passwords} == {
        "password",
        "confirmation_password",
        "current_password",
        "new_password",
        "repeated_password",
    }
    for field in passwords:
        assert field["type"] == "password", field
        new = field["name"] in {"new_password", "repeated_password"}
        assert field["autocomplete"] == ("new-password" if new else "current-password"), field
