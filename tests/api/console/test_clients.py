"""Administrators register clients on pages."""

import re

from tests.support.administrator import Sql
from tests.support.console import ConsoleClient
from tests.support.oauth import CALLBACK, Application


def test_a_client_is_registered_changed_and_deleted(admin: ConsoleClient, sql: Sql) -> None:
    fields: dict[str, str | list[str]] = {
        "name": "Calendar <b>",
        "client_id": "calendar",
        "redirect_uris": f"{CALLBACK}\r\nhttp://127.0.0.1/cb",
        "scopes": "account",
        "grant": ["authorization_code", "refresh_token"],
    }
    admin.open("/clients/new")
    wrong = {**fields, "redirect_uris": "http://calendar.example.org/"}
    assert admin.submit("/clients/new", **wrong).status_code == 422
    assert "must use https" in admin.text
    assert 'value="Calendar &lt;b&gt;"' in admin.page.text
    admin.submit("/clients/new", **fields, is_confidential="1")
    found = re.search(r"cfs_[A-Za-z0-9_-]+", admin.page.text)
    assert found is not None
    calendar = Application(admin, "calendar", found[0])
    tokens = calendar.log_in()
    assert calendar.call(tokens) == 200

    assert "Calendar <b>" not in admin.open("/clients").text
    admin.open("/clients/calendar")
    assert admin.submit("/clients/calendar/change", **{**fields, "name": ""}).status_code == 422
    assert sql("SELECT name FROM oauth_clients") == [("Calendar <b>",)]
    admin.submit("/clients/calendar/change", **{**fields, "name": "Team", "is_first_party": "1"})
    assert sql("SELECT name FROM oauth_clients WHERE is_first_party") == [("Team",)]
    admin.submit("/clients/calendar/rotate")
    assert found[0] not in admin.page.text
    assert "The secret before works until" in admin.text
    assert calendar.post("/device_authorization").json()["error"] == "unauthorized_client"
    admin.open("/clients/calendar")
    admin.submit("/clients/calendar/disable")
    assert "Its sessions have ended" in admin.text
    assert calendar.call(tokens) == 401
    admin.submit("/clients/calendar/enable")
    admin.submit("/clients/calendar/delete")
    assert "No client is registered yet" in admin.text
    assert admin.open("/clients/calendar").status_code == 404


def test_only_administrators_see_clients(ada: ConsoleClient) -> None:
    for path in ("/clients", "/clients/new"):
        assert ada.open(path).status_code == 403
