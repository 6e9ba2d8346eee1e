"""What the pages show to whom, and how their forms affect the next request."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import PASSWORD, Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient, promote

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
ADMIN_PAGES = [
    *("/users", "/users/1", "/new-user", "/roles", "/sessions"),
    *("/events", "/events?event=login.failed"),
]
EXPORTS = ["/users.csv", "/sessions.csv", "/events.csv"]


def test_pages_of_administrators_are_for_them_alone(ada: ConsoleClient) -> None:
    for path in [*ADMIN_PAGES, *EXPORTS]:
        assert ada.open(path).status_code == 403
        assert "This needs the scope admin." in ada.text


def test_forms_of_administrators_are_for_them_alone(ada: ConsoleClient, sql: Sql) -> None:
    before = sql("SELECT count(*) FROM audit_events")
    for action in ("sessions/end", "sessions/end-all", "disable", "enable", "roles"):
        ada.open("/account")
        assert ada.submit(f"/users/1/{action}", role="admin").status_code == 403
    for action in ("end", "end-everybody"):
        ada.open("/account")
        assert ada.submit(f"/sessions/{action}").status_code == 403
    assert sql("SELECT count(*) FROM audit_events") == before


def test_nobody_sees_a_page_without_signing_in(console: ConsoleClient) -> None:
    for path in (*ADMIN_PAGES, *EXPORTS, "/", "/account", "/account/password"):
        assert console.open(path).url.path == "/sign-in"


def test_every_page_has_the_strict_policy_and_no_inline_code(admin: ConsoleClient) -> None:
    for path in (*ADMIN_PAGES, "/", "/?period=week", "/?period=month", "/account"):
        assert admin.open(path).status_code == 200
        policy = admin.page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        for inline in (" style=", " onclick=", "<style", "<script>"):
            assert inline not in admin.page.text


def test_a_demotion_holds_for_the_next_page(admin: ConsoleClient, sql: Sql) -> None:
    assert admin.open("/users").status_code == 200
    sql("DELETE FROM user_roles")
    assert admin.open("/users").status_code == 403


def test_a_user_is_found_by_a_few_letters(admin: ConsoleClient, api: Client) -> None:
    for name in ("Ada Lovelace", "Grace Hopper"):
        assert api.register(f"{name.split()[0].lower()}@example.org", name=name).status_code == 201
    admin.open("/users?q=love")
    assert "ada@example.org" in admin.text
    assert "grace@example.org" not in admin.text
    admin.open("/users?q=nobody")
    assert "No user matches." in admin.text


def test_users_are_found_by_role_and_state(admin: ConsoleClient, api: Client, sql: Sql) -> None:
    api.register("ada@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'ada@example.org'")
    admin.open("/users?state=disabled")
    assert "ada@example.org" in admin.text
    assert "root@example.org 1" not in admin.text
    admin.open("/users?role=admin")
    assert "ada@example.org" not in admin.text


def test_the_list_of_users_has_pages(admin: ConsoleClient, sql: Sql) -> None:
    for number in range(30):
        sql(
            "INSERT INTO users (email, name, hashed_password)"
            f" VALUES ('user{number}@example.org', 'User', 'x')"
        )
    admin.open("/users?q=user")
    assert admin.page.text.count("@example.org</a>") == 25
    following = admin.page.text.partition('rel="next" href="/console')[2].partition('"')[0]
    admin.open(following.replace("&amp;", "&"))
    assert admin.page.text.count("@example.org</a>") == 5
    assert "First page" in admin.text


def test_an_administrator_sees_a_users_sessions_and_ends_one(
    admin: ConsoleClient, api: Client
) -> None:
    api.register("ada@example.org")
    api.http.headers["User-Agent"] = FIREFOX
    first, second = api.log_in(client_id="Ada's laptop"), api.log_in(client_id="Ada's phone")
    admin.open("/users/2")
    assert "Ada's laptop Firefox on Windows" in admin.text
    assert first.access_token not in admin.page.text

    [laptop] = [one for one in api.sessions(first) if one["client_id"] == "Ada's laptop"]
    admin.submit("/users/2/sessions/end", only=laptop["id"], session=laptop["id"])
    assert "1 session has ended. Its next request is rejected." in admin.text
    assert api.me(first).status_code == 401
    assert api.me(second).status_code == 200


def test_several_are_ended_by_ticking_them_and_all_by_one_button(
    admin: ConsoleClient, api: Client
) -> None:
    api.register("ada@example.org")
    tokens = [api.log_in() for _ in range(4)]
    ids = [one["id"] for one in api.sessions(tokens[0])]
    admin.open("/sessions")
    admin.submit("/sessions/end", session=ids[:2])
    assert "2 sessions have ended." in admin.text
    assert sorted(api.me(one).status_code for one in tokens) == [200, 200, 401, 401]
    admin.open("/users/2")
    admin.submit("/users/2/sessions/end-all")
    assert "2 sessions have ended." in admin.text
    assert [api.me(one).status_code for one in tokens] == [401] * 4


def test_without_a_selection_no_session_ends(admin: ConsoleClient, api: Client) -> None:
    admin.open("/sessions")
    for path in ("/sessions/end", "/users/1/sessions/end", "/account/sessions/end"):
        admin.submit(path)
        assert "No session was selected" in admin.text
    assert admin.is_let_in(admin.token)


def test_a_disabled_user_is_rejected_and_their_page_says_so(
    admin: ConsoleClient, api: Client
) -> None:
    tokens = api.sign_up("ada@example.org")
    admin.open("/users/2")
    admin.submit("/users/2/disable")
    assert "The account is disabled. Its sessions have ended." in admin.text
    assert "Ada is not signed in anywhere." in admin.text
    assert api.me(tokens).status_code == 401


def test_the_last_administrator_stays_one(admin: ConsoleClient) -> None:
    admin.open("/users/1")
    for path in ("/users/1/disable", "/users/1/roles"):
        assert admin.submit(path, role="user").status_code == 409
        assert "This is the last active administrator." in admin.text
        admin.open("/users/1")


def test_a_missing_page_says_so(admin: ConsoleClient) -> None:
    for path in ("/users/99", "/users/0", "/users/x", "/users/" + "9" * 30, "/x"):
        assert admin.open(path).status_code == 404
        assert "There is nothing here" in admin.text


def test_an_invalid_cursor_is_rejected(admin: ConsoleClient) -> None:
    for path in ("/users", "/sessions", "/events"):
        assert admin.open(f"{path}?cursor=nonsense").status_code == 422


def test_odd_searches_find_nothing_and_break_nothing(admin: ConsoleClient) -> None:
    for text in ("%00", "%ff", "' OR 1=1 --", "%", "*", "x" * 3000):
        for path in (f"/users?q={text}", f"/sessions?q={text}&client={text}&ip={text}&order=x"):
            assert admin.open(path).status_code == 200
        fields = ("event", "actor", "subject", "ip", "since", "until")
        query = "&".join(f"{field}={text}" for field in fields)
        assert admin.open(f"/events?{query}").status_code == 200


def test_sessions_are_sorted_and_filtered(
    admin: ConsoleClient, api: Client, sql: Sql, clock: Clock
) -> None:
    for number, email in enumerate(("ada@example.org", "grace@example.org")):
        api.register(email)
        api.log_in(email, client_id=f"device {number}")
    begun_later_but_used_earlier = clock.in_seconds(-3600)
    sql(
        f"UPDATE sessions SET last_used_at = {begun_later_but_used_earlier}"
        " WHERE client_id = 'device 1'"
    )
    for order, first, second in (
        ("newest", "device 1", "device 0"),
        ("oldest", "device 0", "device 1"),
        ("used", "device 0", "device 1"),
        ("idle", "device 1", "device 0"),
        ("ending", "device 0", "device 1"),
    ):
        admin.open(f"/sessions?client=dev&order={order}")
        assert admin.text.index(first) < admin.text.index(second), order
    admin.open("/sessions?client=DEVICE+1")
    assert "device 1" in admin.text
    assert "device 0" not in admin.text
    admin.open("/sessions?ip=203.0.113.")
    assert "No live session matches." in admin.text


def test_all_sessions_together_come_newest_first_and_the_page_says_so(
    admin: ConsoleClient,
) -> None:
    admin.open("/sessions?order=idle")
    assert "Narrow them down by a filter to sort them." in admin.text


def test_the_audit_log_is_filtered_by_event_user_and_date(
    admin: ConsoleClient, api: Client
) -> None:
    api.register("ada@example.org")
    api.try_to_log_in("ada@example.org", "not the password")
    admin.open("/events?event=login.failed&subject=2")
    assert "Sign-in failed" in admin.text
    assert "wrong password" in admin.text
    assert "ada@example.org" in admin.text
    for query in ("actor=1&event=login.failed", "since=2999-01-01", "until=2001-01-01", "ip=x"):
        admin.open(f"/events?{query}")
        assert "Nothing of that kind has been recorded." in admin.text, query
    admin.open("/events?until=2999-01-01&since=2001-01-01")
    assert "Sign-in failed" in admin.text


def test_users_end_their_own_sessions(ada: ConsoleClient, api: Client) -> None:
    phone, laptop = api.log_in(client_id="phone"), api.log_in(client_id="laptop")
    ada.open("/account")
    [lost] = [one["id"] for one in api.sessions(laptop) if one["client_id"] == "phone"]
    ada.submit("/account/sessions/end", only=lost)
    assert "1 session has ended." in ada.text
    assert [api.me(one).status_code for one in (phone, laptop)] == [401, 200]
    ada.submit("/account/sessions/end-others")
    assert api.me(laptop).status_code == 401
    assert ada.is_let_in(ada.token)


def test_nobody_can_end_the_session_of_another_user(ada: ConsoleClient, api: Client) -> None:
    grace = api.sign_up("grace@example.org")
    [session] = api.sessions(grace)
    ada.submit("/account/sessions/end", session=session["id"])
    assert "None of these sessions was live any more." in ada.text
    assert api.me(grace).status_code == 200


def test_a_new_password_needs_the_current_one_and_ends_other_sessions(
    ada: ConsoleClient, api: Client
) -> None:
    phone = api.log_in()
    new = "four lions on a hill"
    ada.open("/account/password")
    for current, repeated, refusal in (
        ("not the password", new, "The current password is wrong."),
        (PASSWORD, "another", "The two new passwords are not the same."),
    ):
        change_password(ada, current, new, repeated)
        assert refusal in ada.text
        assert new not in ada.page.text
    change_password(ada, PASSWORD, "password", "password")
    assert "among the most common ones" in ada.text
    assert api.me(phone).status_code == 200

    old_token = ada.token
    change_password(ada, PASSWORD, new, new)
    assert "Your password is changed." in ada.text
    assert ada.token != old_token
    assert not ada.is_let_in(old_token)
    assert api.me(phone).status_code == 401
    assert api.try_to_log_in(password=new).status_code == 200


def change_password(console: ConsoleClient, current: str, new: str, repeated: str) -> None:
    console.submit(
        "/account/password",
        current_password=current,
        new_password=new,
        repeated_password=repeated,
    )


def test_untrusted_text_is_escaped(admin: ConsoleClient, api: Client) -> None:
    evil = "<script>alert(1)</script>"
    api.register("ada@example.org", name=evil, surname='"><img src=x onerror=alert(1)>')
    api.http.headers["User-Agent"] = evil
    api.log_in(client_id=f"{evil}'\"")
    for path in ("/users", "/users/2", "/sessions", "/events"):
        admin.open(path)
        assert "<script>alert" not in admin.page.text
        assert "<img src=x" not in admin.page.text
        assert evil in admin.text.replace(" ", "") or path == "/events"


def test_a_forged_message_is_not_shown(ada: ConsoleClient) -> None:
    for text in ("sessions-ended.<b>9</b>", "nonsense", "sessions-ended.99999999999999999999"):
        ada.http.cookies.set("__Host-counterfoil_notice", text, domain="testserver.local")
        assert 'class="notice"' not in ada.open("/account").text


def test_the_page_of_an_internal_error_shows_no_internals(ada: ConsoleClient, sql: Sql) -> None:
    sql("ALTER TABLE audit_events RENAME TO gone")
    try:
        assert ada.open("/account").status_code in {500, 503}
    finally:
        sql("ALTER TABLE gone RENAME TO audit_events")
    assert "default-src 'none'" in ada.page.headers["content-security-policy"]
    assert "To the first page" in ada.text
    assert "audit_events" not in ada.page.text


def test_the_description_of_the_api_does_not_list_the_pages(console: ConsoleClient) -> None:
    paths = console.http.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path.startswith("/console")]


def test_one_of_two_administrators_can_disable_their_own_account(
    admin: ConsoleClient, api: Client, sql: Sql
) -> None:
    api.register("ada@example.org")
    promote(sql, "ada@example.org")
    admin.open("/users/1")
    admin.submit("/users/1/disable")
    assert admin.page.url.path == "/sign-in"
    assert "Your session is over." in admin.text
