"""Forgotten passwords and e-mail addresses: what a link in a mail does, and what it does not."""

import asyncio
import json
import time
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import event

from authentication.grants import password as password_grant
from authentication.throttling import lane
from tests.support.administrator import Sql, events, give_role, insert_user, user_id
from tests.support.client import PASSWORD, Client, MakeClient, Tokens
from tests.support.mailbox import Mail, Mailbox, parse
from tests.support.waiting import until

pytestmark = pytest.mark.one_database

NEW = "an entirely new passphrase"


@pytest.fixture
def client(make_client: MakeClient, mailbox: Mailbox) -> Client:
    return make_client(**mailbox.settings, mails_per_recipient=50, mails_per_recipient_per_day=60)


@pytest.fixture
def make_placed(
    make_app: Callable[..., FastAPI], make_client: MakeClient
) -> Iterator[Callable[..., Client]]:
    """A client whose X-Forwarded-For says where it is."""
    with ExitStack() as running:

        def make(**settings: Any) -> Client:
            app = make_app(trusted_proxies="127.0.0.1", **settings)
            return Client(running.enter_context(TestClient(app, client=("127.0.0.1", 50000))))

        yield make


def forget(client: Client, email: str = "ada@example.org", **headers: str) -> Response:
    return client.http.post("/password/forgot", json={"email": email}, headers=headers)


def reset(client: Client, token: str, password: str = NEW) -> Response:
    return client.http.post("/password/reset", json={"token": token, "new_password": password})


def verify(client: Client, token: str) -> Response:
    return client.http.post("/email/verify", json={"token": token})


def verify_by_mail(client: Client, mailbox: Mailbox, to: str = "ada@example.org") -> None:
    """By the link that was asked for last. Its mail may overtake another."""
    links = [mail.token for mail in mailbox.take() if mail.to == to]
    assert [verify(client, link).status_code for link in links].count(204) == 1


def status_of(client: Client, tokens: Tokens) -> dict[str, Any]:
    found: dict[str, Any] = client.http.get("/email/verification", headers=tokens.headers).json()
    return found


def change_email(client: Client, tokens: Tokens, email: str, **fields: Any) -> Response:
    return client.http.patch("/users/me", json={"email": email, **fields}, headers=tokens.headers)


def verified(client: Client, mailbox: Mailbox, email: str = "ada@example.org") -> Tokens:
    """Somebody whose address is verified, logged in."""
    tokens = client.sign_up(email)
    asked = client.http.post("/email/verification", headers=tokens.headers)
    assert asked.status_code == 202
    assert verify(client, mailbox.take_one(email).token).status_code == 204
    mailbox.take()
    return tokens


def moved(client: Client, mailbox: Mailbox, tokens: Tokens, email: str) -> Mail:
    """Change the address. Returns the mail to the old one."""
    before = status_of(client, tokens)["email"]
    assert change_email(client, tokens, email, current_password=PASSWORD).status_code == 200
    assert verify(client, mailbox.take_one(email).token).status_code == 204
    return mailbox.take_one(before)


def test_without_mail_nothing_of_it_exists(make_client: MakeClient) -> None:
    client = make_client()
    tokens = client.sign_up()
    for path in ("/password/forgot", "/password/reset", "/email/verify", "/email/revert"):
        assert client.http.post(path, json={}).status_code == 404
    assert client.http.get("/account/forgot-password").status_code == 404
    assert client.http.get("/email/verification", headers=tokens.headers).status_code == 404
    changed = change_email(client, tokens, "new@example.org", current_password=PASSWORD)
    assert changed.json()["email"] == "new@example.org"
    assert "pending_email" not in changed.json()


def test_a_forgotten_password_is_set_anew_by_the_link(client: Client, mailbox: Mailbox) -> None:
    tokens = client.sign_up()
    mailbox.take()
    assert forget(client, "Ada@Example.ORG").status_code == 202
    answer = reset(client, mailbox.take_one().token)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.me(tokens).status_code == 401
    assert client.try_to_log_in().status_code == 401
    assert status_of(client, client.log_in(password=NEW))["email_verified"] is True


def test_the_code_works_only_with_its_transaction(client: Client, mailbox: Mailbox) -> None:
    client.register()
    transaction = forget(client).json()["transaction"]
    other = forget(client, "nobody@example.org").json()["transaction"]
    code = mailbox.take_one().code

    def by_code(transaction: str, code: str) -> int:
        body = {"transaction": transaction, "code": code, "new_password": NEW}
        return client.http.post("/password/reset", json=body).status_code

    assert by_code(other, code) == 400
    assert by_code(transaction, "BBBB-BBBB") == 400
    assert by_code(transaction, code.lower().replace("-", " ")) == 204
    assert by_code(transaction, code) == 400
    assert client.try_to_log_in(password=NEW).status_code == 200


@pytest.mark.both_databases
def test_codes_are_tried_five_times_also_at_once(client: Client, mailbox: Mailbox) -> None:
    client.register()
    transaction = forget(client).json()["transaction"]
    mail = mailbox.take_one()

    def guess(code: str) -> int:
        body = {"transaction": transaction, "code": code, "new_password": NEW}
        return client.http.post("/password/reset", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(guess, [f"BBBB-BBB{n}" for n in range(3, 8)])) == {400}
    assert guess(mail.code) == 400
    assert reset(client, mail.token).status_code == 204


def test_a_code_ends_before_its_link(client: Client, mailbox: Mailbox, sql: Sql) -> None:
    client.register()
    transaction = forget(client).json()["transaction"]
    mail = mailbox.take_one()
    sql("UPDATE mail_tokens SET created_at = '2020-01-01 00:00:00+00'")
    body = {"transaction": transaction, "code": mail.code, "new_password": NEW}
    assert client.http.post("/password/reset", json=body).status_code == 400
    assert reset(client, mail.token).status_code == 204


def test_an_expired_link_is_answered_like_an_unknown_one(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    client.register()
    forget(client)
    token = mailbox.take_one().token
    sql("UPDATE mail_tokens SET expires_at = '2020-01-01 00:00:00+00'")
    expired, unknown = reset(client, token), reset(client, token[:-1] + "x")
    assert expired.json()["code"] == "invalid_mail_token"
    assert (expired.status_code, expired.json()) == (unknown.status_code, unknown.json())


@pytest.mark.both_databases
def test_of_eight_resets_at_once_one_succeeds(client: Client, mailbox: Mailbox, sql: Sql) -> None:
    client.register()
    forget(client)
    token = mailbox.take_one().token
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: reset(client, token, f"{NEW} {n}").status_code, range(8)))
    assert sorted(found) == [204] + [400] * 7
    assert events(sql).count("user.password_reset") == 1


def test_a_reset_ends_every_session_and_what_is_under_way(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    sessions = [client.sign_up(), client.log_in(), client.log_in()]
    key = client.create_api_key(sessions[0])["key"]
    mailbox.take()
    forget(client)
    epoch = sql("SELECT session_epoch FROM users")
    assert reset(client, mailbox.take_one().token).status_code == 204
    for tokens in sessions:
        assert client.me(tokens).status_code == 401
        assert client.refresh(tokens.refresh_token).status_code == 400
    assert client.http.get("/users/me", headers={"X-API-Key": key}).status_code == 401
    assert sql("SELECT session_epoch FROM users") > epoch


def test_a_reset_keeps_api_keys_if_the_setting_says_so(
    make_client: MakeClient, mailbox: Mailbox
) -> None:
    client = make_client(**mailbox.settings, reset_ends_api_keys=False)
    key = client.create_api_key(client.sign_up())["key"]
    mailbox.take()
    forget(client)
    assert reset(client, mailbox.take_one().token).status_code == 204
    assert client.http.get("/users/me", headers={"X-API-Key": key}).status_code == 200


def test_a_reset_forgives_the_throttle(make_client: MakeClient, mailbox: Mailbox) -> None:
    client = make_client(**mailbox.settings, login_attempts_per_account=2)
    client.register()
    for _ in range(3):
        client.try_to_log_in(password="a wrong passphrase")
    assert client.try_to_log_in().status_code == 429
    forget(client)
    assert reset(client, mailbox.take_one().token).status_code == 204
    # The worker remembers its rejections for a second.
    until(lambda: client.try_to_log_in(password=NEW).status_code == 200)


def test_a_login_whose_password_is_checked_does_not_survive_a_reset(
    client: Client, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.register()
    forget(client)
    token = mailbox.take_one().token
    verify_password = password_grant._Login.verify
    answers: list[int] = []

    async def verify_and_be_late(login: Any, *args: Any) -> Any:
        checked = await verify_password(login, *args)
        if not answers:
            answers.append((await asyncio.to_thread(reset, client, token)).status_code)
        return checked

    monkeypatch.setattr(password_grant._Login, "verify", verify_and_be_late)
    assert client.try_to_log_in().status_code == 401
    assert answers == [204]


def test_a_weak_password_leaves_the_link_as_it_is(client: Client, mailbox: Mailbox) -> None:
    client.register()
    forget(client)
    token = mailbox.take_one().token
    weak = reset(client, token, "password1")
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (422, "new_password")
    assert reset(client, token).status_code == 204


def test_only_the_newer_of_two_links_works(client: Client, mailbox: Mailbox) -> None:
    client.register()
    forget(client)
    older = mailbox.take_one().token
    forget(client)
    newer = mailbox.take_one().token
    assert reset(client, older).status_code == 400
    assert reset(client, newer).status_code == 204


@pytest.mark.both_databases
def test_of_many_requests_at_once_one_link_works_and_none_fails(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    many = {"mails_per_recipient": 1000, "mails_per_recipient_per_day": 1000}
    client = make_client(**mailbox.settings, **many, database_deadline_seconds=30)
    client.register()
    used: list[int] = []

    def ask(number: int) -> int:
        if number % 5 == 0:
            # What is being made at this moment must not survive the reset either.
            mails = [Path(name).read_bytes() for name in mailbox.directory.glob("*.eml")]
            # The notices of a new password have no link.
            links = [mail for mail in map(parse, mails) if "cfm_" in mail.text]
            tokens = [mail.token for mail in links[-1:]]
            used.extend(reset(client, token, f"{NEW} {number}").status_code for token in tokens)
        return forget(client).status_code

    for _ in range(3):
        with ThreadPoolExecutor(10) as pool:
            # At most twenty may wait, and ten do.
            assert set(pool.map(ask, range(20))) == {202}
        mailbox_settles(mailbox)
        usable = "SELECT count(*) FROM mail_tokens WHERE used_at IS NULL AND kind = 'reset'"
        assert sql(usable)[0][0] <= 1
    assert set(used) <= {204, 400}
    forget(client)
    mailbox_settles(mailbox)
    assert sql(usable) == [(1,)]


@pytest.mark.parametrize("by_sql", [False, True], ids=["PATCH", "SQL"])
def test_after_a_change_of_the_address_no_link_works(
    client: Client, mailbox: Mailbox, sql: Sql, by_sql: bool
) -> None:
    tokens = client.sign_up()
    mailbox.take()
    forget(client)
    client.http.post("/email/verification", headers=tokens.headers)
    by_kind = {"password" in mail.subject: mail.token for mail in mailbox.take()}
    if by_sql:
        sql("UPDATE users SET email = 'new@example.org', verified_email = 'ada@example.org'")
    else:
        moved(client, mailbox, tokens, "new@example.org")
    assert reset(client, by_kind[True]).status_code == 400
    assert verify(client, by_kind[False]).status_code == 400
    assert status_of(client, tokens)["email_verified"] is not by_sql


def test_a_disabled_user_gets_no_mail_and_an_old_link_does_nothing(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    client.register()
    forget(client)
    token = mailbox.take_one().token
    sql("UPDATE users SET is_active = false")
    assert reset(client, token).status_code == 400
    assert forget(client).status_code == 202
    assert mailbox.take() == []


def test_the_answer_tells_nothing_about_the_account(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings, mails_per_recipient=1)
    for email in ("known@example.org", "disabled@example.org", "throttled@example.org"):
        client.register(email)
    sql("UPDATE users SET is_active = false WHERE email = 'disabled@example.org'")
    forget(client, "throttled@example.org")
    mailbox.take()
    names = ("known", "unknown", "disabled", "throttled")
    answers = [forget(client, f"{name}@example.org") for name in names]
    assert {answer.status_code for answer in answers} == {202}
    assert {tuple(answer.json()) for answer in answers} == {("transaction",)}
    assert len({tuple(sorted(shown(answer).items())) for answer in answers}) == 1
    assert [mail.to for mail in mailbox.take()] == ["known@example.org"]


def shown(answer: Response) -> dict[str, str]:
    """The headers, without what differs from one request to the next in any case."""
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


def test_a_request_for_a_reset_runs_the_same_statements_for_everybody(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings, mails_per_recipient=3)
    for name in ("known", "disabled", "throttled"):
        client.register(f"{name}@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'disabled@example.org'")
    # The first one past a limit is recorded as well, once in a quarter of an hour.
    for _ in range(4):
        assert forget(client, "throttled@example.org").status_code == 202
    service = client.http.app.state.service  # type: ignore[attr-defined]
    client.http.portal.call(service.mailing.worker.stop)  # type: ignore[union-attr]
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(service.database.engine, "before_cursor_execute", note)
    found = []
    for name in ("known", "unknown", "disabled", "throttled"):
        statements.clear()
        assert forget(client, f"{name}@example.org").status_code == 202
        found.append([one for one in statements if not one.startswith("PRAGMA")])
    event.remove(service.database.engine, "before_cursor_execute", note)
    assert found[0] == found[1] == found[2] == found[3]
    assert any("outbox" in one for one in found[0])


def test_a_client_that_asks_too_often_is_told(
    make_placed: Callable[..., Client], mailbox: Mailbox
) -> None:
    client = make_placed(**mailbox.settings, mail_requests_per_address=3)
    place = {"X-Forwarded-For": "192.0.2.1"}
    answers = [forget(client, f"a{number}@example.org", **place) for number in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[-1].headers["retry-after"]
    assert forget(client, "b@example.org", **{"X-Forwarded-For": "192.0.2.2"}).status_code == 202


def test_a_recipient_gets_three_mails_in_a_quarter_and_ten_a_day(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings, mail_requests_per_address=1000)
    client.register()
    for expected in (3, 3, 3, 1, 0):
        for _ in range(5):
            assert forget(client).status_code == 202
            mailbox_settles(mailbox)
        assert len(mailbox.take()) == expected
        sql(
            "UPDATE throttle_counters SET ends_at = '2020-01-01 00:00:00+00'"
            " WHERE ends_at < (SELECT max(ends_at) FROM throttle_counters)"
        )


def mailbox_settles(mailbox: Mailbox) -> None:
    pending = "SELECT id FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL"
    until(lambda: not mailbox.sql(pending))


@pytest.mark.both_databases
def test_in_a_flood_requests_wait_in_one_lane_and_too_many_are_told(
    client: Client, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "_MAX_WAITING", 3)
    service = client.http.app.state.service  # type: ignore[attr-defined]
    at_once: list[int] = []
    add = service.mailing.outbox.add_reset

    def slow(*args: Any, **options: Any) -> Any:
        at_once.append(1)
        time.sleep(0.2)
        assert at_once.pop() == 1
        assert not at_once
        return add(*args, **options)

    monkeypatch.setattr(service.mailing.outbox, "add_reset", slow)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: forget(client, f"a{n}@example.org"), range(10)))
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) == {202, 503}
    assert statuses.count(202) >= 4
    (busy,) = {answer.json()["code"] for answer in answers if answer.status_code == 503}
    assert busy == "mail_busy"
    assert forget(client).status_code == 202


def test_what_is_asked_for_nobody_leaves_no_row(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings, mails_per_recipient=2)
    for _ in range(4):
        forget(client, "nobody@example.org")
    mailbox_settles(mailbox)
    assert sql("SELECT id FROM outbox WHERE error_code IS NULL OR error_code <> 'superseded'") == []


@pytest.mark.parametrize(
    "email",
    ["a@x.org, b@x.org", "a@x.org\r\nBcc: b@x.org", "a" * 311 + "@x.org", "a@", "", "a@x.org\x00"],
)
def test_what_is_no_address_is_rejected(client: Client, email: str) -> None:
    assert forget(client, email).status_code == 422


@pytest.mark.both_databases
def test_an_account_that_was_moved_from_an_internal_domain_gets_a_mail(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    """Nobody can register such an address today, and whoever was moved with one logs in."""
    insert_user(sql, "svc@company.local")
    assert forget(client, "SVC@company.local").status_code == 202
    assert reset(client, mailbox.take_one("svc@company.local").token).status_code == 204
    assert client.try_to_log_in("svc@company.local", NEW).status_code == 200


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("rene\u0301@example.org", "rene\u0301@example.org"),
        ("rene\u0301@example.org", "Ren\u00e9@Example.ORG"),
        ("ren\u00e9@company.local", "rene\u0301@company.local"),
        ("\u00c9VE@example.org", "\u00c9VE@example.org"),
    ],
    ids=ascii,
)
def test_an_account_that_was_moved_with_another_spelling_of_its_address_gets_a_mail(
    client: Client, mailbox: Mailbox, sql: Sql, stored: str, typed: str
) -> None:
    insert_user(sql, stored)
    assert forget(client, typed).status_code == 202
    (older,) = mailbox.take()
    assert forget(client, typed).status_code == 202
    (mail,) = mailbox.take()
    assert unicodedata.normalize("NFC", mail.to) == unicodedata.normalize("NFC", stored)
    assert reset(client, older.token).status_code == 400
    assert reset(client, mail.token).status_code == 204
    assert client.try_to_log_in(typed, NEW).status_code == 200


def test_an_address_with_an_umlaut_gets_one_mail(client: Client, mailbox: Mailbox) -> None:
    assert client.register("ada@bücher.example.org").status_code == 201
    assert forget(client, "ada@bücher.example.org").status_code == 202
    assert [mail.to for mail in mailbox.take()] == ["ada@xn--bcher-kva.example.org"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.net"},
        {"X-Forwarded-Host": "evil.example.net"},
        {"Forwarded": "host=evil.example.net;proto=http"},
        {"Origin": "https://evil.example.net", "Referer": "https://evil.example.net/x"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_header_chooses_where_a_link_leads(
    make_client: MakeClient, mailbox: Mailbox, headers: dict[str, str]
) -> None:
    client = make_client(
        **mailbox.settings, issuer="https://id.example.com/auth", trusted_proxies="0.0.0.0/0"
    )
    client.register()
    assert forget(client, **headers).status_code == 202
    mail = mailbox.take_one()
    for content in (mail.text, mail.html):
        assert "evil" not in content
        assert f"https://id.example.com/auth/account/reset-password?token={mail.token}" in content


def test_a_link_can_lead_to_a_frontend(make_client: MakeClient, mailbox: Mailbox) -> None:
    link = "https://app.example.com/#/reset/{token}"
    client = make_client(**mailbox.settings, link_reset=link)
    client.register()
    forget(client)
    mail = mailbox.take_one()
    assert f"\nhttps://app.example.com/#/reset/{mail.token}\n" in mail.text


def test_an_address_is_verified_by_link_or_by_code(client: Client, mailbox: Mailbox) -> None:
    tokens = client.sign_up()
    mailbox.take()
    assert status_of(client, tokens)["email_verified"] is False
    asked = client.http.post("/email/verification", headers=tokens.headers)
    mail = mailbox.take_one()
    body = {"transaction": asked.json()["transaction"], "code": mail.code}
    assert client.http.post("/email/verify", json=body).status_code == 204
    assert status_of(client, tokens)["email_verified"] is True
    assert verify(client, mail.token).status_code == 400
    again = client.http.post("/email/verification", headers=tokens.headers)
    assert (again.status_code, again.json()["code"]) == (409, "already_verified")


def test_a_link_to_verify_one_account_verifies_no_other(client: Client, mailbox: Mailbox) -> None:
    ada, grace = client.sign_up(), client.sign_up("grace@example.org")
    mailbox.take()
    client.http.post("/email/verification", headers=ada.headers)
    assert verify(client, mailbox.take_one().token).status_code == 204
    assert status_of(client, grace)["email_verified"] is False


def test_a_link_of_one_kind_does_nothing_else(client: Client, mailbox: Mailbox) -> None:
    tokens = client.sign_up()
    mailbox.take()
    client.http.post("/email/verification", headers=tokens.headers)
    token = mailbox.take_one().token
    assert reset(client, token).status_code == 400
    assert client.http.post("/email/revert", json={"token": token}).status_code == 400
    assert client.me(token).status_code == 401
    assert verify(client, tokens.access_token).status_code == 400
    assert verify(client, token).status_code == 204


def test_a_new_address_waits_until_it_is_confirmed(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    tokens = verified(client, mailbox)
    changed = change_email(client, tokens, "New@Example.org", current_password=PASSWORD)
    assert changed.json()["email"] == "ada@example.org"
    assert changed.json()["pending_email"] == "new@example.org"
    assert change_email(client, tokens, "new@example.org", name="Ada K").json()["name"] == "Ada K"
    verify_by_mail(client, mailbox, to="new@example.org")
    assert status_of(client, tokens) == {
        "email": "new@example.org",
        "email_verified": True,
        "pending_email": None,
    }
    assert client.try_to_log_in("new@example.org").status_code == 200
    assert "user.email_changed" in events(sql)


def test_a_new_address_takes_the_password_or_a_fresh_session(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings)
    tokens = client.sign_up()
    sql("UPDATE sessions SET confirmed_at = '2020-01-01 00:00:00+00'")
    stale = change_email(client, tokens, "new@example.org")
    assert (stale.status_code, stale.json()["code"]) == (401, "insufficient_user_authentication")
    wrong = change_email(client, tokens, "new@example.org", current_password="a wrong passphrase")
    assert wrong.json()["code"] == "wrong_password"
    right = change_email(client, tokens, "new@example.org", current_password=PASSWORD)
    assert right.json()["pending_email"] == "new@example.org"


@pytest.mark.parametrize("how", ["password", "sessions", "SQL"])
def test_a_change_that_a_thief_has_asked_for_ends_with_the_sessions(
    client: Client, mailbox: Mailbox, sql: Sql, how: str
) -> None:
    tokens = client.sign_up()
    mailbox.take()
    change_email(client, client.log_in(), "thief@example.org")
    token = mailbox.take_one("thief@example.org").token
    if how == "password":
        body = {"current_password": PASSWORD, "new_password": NEW}
        client.http.put("/users/me/password", json=body, headers=tokens.headers)
    elif how == "sessions":
        client.http.delete("/sessions?keep_current=true", headers=tokens.headers)
    else:
        sql("UPDATE users SET session_epoch = session_epoch + 1")
    assert verify(client, token).status_code == 400
    assert sql("SELECT email FROM users") == [("ada@example.org",)]


def test_a_new_password_voids_links_to_set_another(client: Client, mailbox: Mailbox) -> None:
    tokens = client.sign_up()
    mailbox.take()
    forget(client)
    token = mailbox.take_one().token
    body = {"current_password": PASSWORD, "new_password": NEW}
    client.http.put("/users/me/password", json=body, headers=tokens.headers)
    assert reset(client, token, "yet another passphrase").status_code == 400


def test_asking_for_the_present_address_cancels_a_change(client: Client, mailbox: Mailbox) -> None:
    tokens = client.sign_up()
    mailbox.take()
    change_email(client, tokens, "new@example.org")
    token = mailbox.take_one("new@example.org").token
    assert change_email(client, tokens, "ada@example.org").json()["pending_email"] is None
    assert verify(client, token).status_code == 400


def test_a_taken_address_looks_like_a_free_one_and_its_owner_is_told(
    client: Client, mailbox: Mailbox
) -> None:
    client.register("grace@example.org")
    tokens = client.sign_up()
    mailbox.take()
    free = change_email(client, tokens, "free@example.org")
    assert "cfm_" in mailbox.take_one("free@example.org").text
    taken = change_email(client, tokens, "grace@example.org")
    told = mailbox.take_one("grace@example.org")
    assert "already have an account" in told.subject
    assert "cfm_" not in told.text
    assert (free.status_code, set(free.json())) == (taken.status_code, set(taken.json()))
    assert taken.json()["pending_email"] == "grace@example.org"
    assert status_of(client, tokens)["email"] == "ada@example.org"


def test_an_address_that_is_taken_meanwhile_is_not_changed_to(
    client: Client, mailbox: Mailbox
) -> None:
    tokens = client.sign_up()
    mailbox.take()
    change_email(client, tokens, "new@example.org")
    token = mailbox.take_one("new@example.org").token
    assert client.register("new@example.org").status_code == 201
    assert verify(client, token).status_code == 400
    assert status_of(client, tokens)["email"] == "ada@example.org"


def test_the_old_address_can_take_a_change_back_which_ends_the_sessions_of_a_thief(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    thief = verified(client, mailbox)
    told = moved(client, mailbox, thief, "thief@example.org")
    forget(client, "thief@example.org")
    of_thief = mailbox.take_one("thief@example.org").token
    assert client.http.post("/email/revert", json={"token": told.token}).status_code == 204
    assert client.me(thief).status_code == 401
    assert sql("SELECT email, verified_email FROM users") == [("ada@example.org",) * 2]
    assert reset(client, of_thief).status_code == 400
    again = client.http.post("/email/revert", json={"token": told.token})
    assert (again.status_code, again.json()["code"]) == (400, "invalid_mail_token")


def test_a_thief_who_changes_the_address_twice_cannot_keep_it(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    thief = verified(client, mailbox)
    told = moved(client, mailbox, thief, "first@example.org")
    thief_told = moved(client, mailbox, thief, "second@example.org")
    back = client.http.post("/email/revert", json={"token": thief_told.token})
    assert back.status_code == 204
    assert client.http.post("/email/revert", json={"token": told.token}).status_code == 204
    assert sql("SELECT email FROM users") == [("ada@example.org",)]
    assert sql("SELECT id FROM mail_tokens WHERE kind = 'revert' AND used_at IS NULL") == []


def test_no_reset_by_a_thief_voids_the_way_back(client: Client, mailbox: Mailbox, sql: Sql) -> None:
    thief = verified(client, mailbox)
    told = moved(client, mailbox, thief, "thief@example.org")
    forget(client, "thief@example.org")
    assert reset(client, mailbox.take_one("thief@example.org").token).status_code == 204
    assert client.http.post("/email/revert", json={"token": told.token}).status_code == 204
    assert sql("SELECT email FROM users") == [("ada@example.org",)]


def test_an_old_address_that_was_never_verified_is_told_without_a_way_back(
    client: Client, mailbox: Mailbox
) -> None:
    told = moved(client, mailbox, client.sign_up(), "new@example.org")
    assert "was changed" in told.subject
    assert "cfm_" not in told.text + told.html


def test_an_address_cannot_be_taken_back_that_is_somebody_elses_by_now(
    make_client: MakeClient, mailbox: Mailbox
) -> None:
    client = make_client(**mailbox.settings, released_name_days=0)
    tokens = verified(client, mailbox)
    told = moved(client, mailbox, tokens, "new@example.org")
    assert client.register().status_code == 201
    back = client.http.post("/email/revert", json={"token": told.token})
    assert (back.status_code, back.json()["code"]) == (409, "email_taken")
    assert client.me(tokens).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": "x", "code": "y"},
        {"transaction": "x"},
        {"token": "x", "transaction": "y", "code": "z"},
    ],
)
def test_a_proof_is_a_token_or_a_code_with_its_transaction(
    client: Client, body: dict[str, str]
) -> None:
    assert client.http.post("/email/verify", json=body).status_code == 422


def test_unknown_links_are_limited_for_a_network(make_client: MakeClient, mailbox: Mailbox) -> None:
    client = make_client(**mailbox.settings, mail_misses_per_minute=3)
    assert [verify(client, "cfm_x").status_code for _ in range(4)] == [400, 400, 400, 429]


def test_links_and_codes_are_in_no_table(client: Client, mailbox: Mailbox, sql: Sql) -> None:
    tokens = client.sign_up()
    mailbox.take()
    forget(client)
    client.http.post("/email/verification", headers=tokens.headers)
    mails = mailbox.take()
    stored = json.dumps(sql("SELECT * FROM outbox") + sql("SELECT * FROM mail_tokens"), default=str)
    assert "ada@example.org" in stored
    for mail in mails:
        assert mail.token not in stored
        assert mail.code not in stored
    assert "cfm_" not in stored
    assert "cft_" not in stored


def test_a_user_inserted_by_sql_with_capitals_can_set_a_password(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    insert_user(sql, "Ada@Example.ORG")
    forget(client)
    mail = mailbox.take_one("Ada@example.org")
    assert reset(client, mail.token).status_code == 204
    assert client.try_to_log_in(password=NEW).status_code == 200


@pytest.fixture
def confirming(make_client: MakeClient, mailbox: Mailbox) -> Client:
    return make_client(**mailbox.settings, registration="confirm")


def test_an_account_begins_when_its_address_is_confirmed(
    confirming: Client, mailbox: Mailbox, sql: Sql
) -> None:
    answer = confirming.register(username="ada", surname="King")
    assert (answer.status_code, set(answer.json())) == (202, {"transaction"})
    assert confirming.try_to_log_in().status_code == 401
    assert sql("SELECT id FROM users") == []
    mail = mailbox.take_one()
    assert verify(confirming, mail.token).status_code == 204
    tokens = confirming.log_in()
    assert confirming.me(tokens).json()["surname"] == "King"
    assert status_of(confirming, tokens)["email_verified"] is True
    assert verify(confirming, mail.token).status_code == 400
    stored = json.dumps(sql("SELECT data FROM mail_tokens") + sql("SELECT data FROM outbox"))
    assert "bcrypt" not in stored


def test_registering_a_taken_address_looks_the_same_and_its_owner_is_told(
    confirming: Client, mailbox: Mailbox, sql: Sql
) -> None:
    insert_user(sql, "grace@example.org")
    free, taken = confirming.register(), confirming.register("grace@example.org")
    assert (free.status_code, set(free.json())) == (taken.status_code, set(taken.json()))
    subjects = {mail.to: mail.subject for mail in mailbox.take()}
    assert "already have an account" in subjects["grace@example.org"]
    assert "Confirm your registration" in subjects["ada@example.org"]


def test_the_latest_of_two_registrations_of_an_address_counts(
    confirming: Client, mailbox: Mailbox
) -> None:
    confirming.register(name="Mallory", password="the passphrase of mallory")
    older = mailbox.take_one().token
    confirming.register(name="Ada")
    newer = mailbox.take_one().token
    assert verify(confirming, older).status_code == 400
    assert verify(confirming, newer).status_code == 204
    assert confirming.me(confirming.log_in()).json()["name"] == "Ada"


def test_a_username_that_is_taken_meanwhile_is_left_out(
    confirming: Client, mailbox: Mailbox, sql: Sql
) -> None:
    confirming.register(username="ada")
    token = mailbox.take_one().token
    insert_user(sql, "other@example.org")
    sql("UPDATE users SET username = 'ada'")
    assert confirming.register("third@example.org", username="ada").status_code == 409
    assert verify(confirming, token).status_code == 204
    assert confirming.me(confirming.log_in()).json()["username"] is None


def test_an_unverified_address_is_told_only_after_the_right_password(
    make_client: MakeClient, mailbox: Mailbox
) -> None:
    client = make_client(**mailbox.settings, require_verified_email=True)
    client.register()
    assert client.try_to_log_in(password="a wrong passphrase").json()["code"] == (
        "invalid_credentials"
    )
    refused = client.try_to_log_in()
    assert (refused.status_code, refused.json()["code"]) == (403, "email_unverified")
    form = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
    assert client.http.post("/token", data=form).json()["error"] == "invalid_grant"
    verify_by_mail(client, mailbox)
    assert client.try_to_log_in().status_code == 200


def test_logins_before_the_verification_lock_nobody_out(
    make_client: MakeClient, mailbox: Mailbox
) -> None:
    client = make_client(
        **mailbox.settings, require_verified_email=True, login_attempts_per_account=2
    )
    client.register()
    for _ in range(5):
        assert client.try_to_log_in().status_code == 403
        mailbox_settles(mailbox)
    assert len(mailbox.take()) == 3


def test_notices_tell_what_happened_to_an_account(client: Client, mailbox: Mailbox) -> None:
    tokens = client.sign_up()
    mailbox.take()
    client.create_api_key(tokens, name="<b>Nightly</b>")
    told = mailbox.take_one()
    assert "New API key" in told.subject
    assert "<b>Nightly</b>" in told.text
    assert "&lt;b&gt;Nightly" in told.html
    body = {"current_password": PASSWORD, "new_password": NEW}
    client.http.put("/users/me/password", json=body, headers=tokens.headers)
    assert "password" in mailbox.take_one().subject


def test_a_login_from_a_new_place_is_told_and_one_from_a_known_one_is_not(
    make_placed: Callable[..., Client], mailbox: Mailbox
) -> None:
    client = make_placed(**mailbox.settings)
    client.http.headers["X-Forwarded-For"] = "192.0.2.1"
    client.register()
    client.log_in()
    assert mailbox.take() == []
    client.http.headers["X-Forwarded-For"] = "198.51.100.7"
    client.http.headers["Accept-Language"] = "de-AT, en;q=0.5"
    client.log_in()
    told = mailbox.take_one()
    assert told.subject == "Neue Anmeldung bei Ihrem Konto bei Example"
    assert "198.51.100.7" in told.text
    client.log_in()
    assert mailbox.take() == []


def test_notices_can_be_off_one_by_one(make_client: MakeClient, mailbox: Mailbox) -> None:
    client = make_client(**mailbox.settings, mail_notices="password_changed")
    tokens = client.sign_up()
    client.create_api_key(tokens)
    assert mailbox.take() == []
    body = {"current_password": PASSWORD, "new_password": NEW}
    client.http.put("/users/me/password", json=body, headers=tokens.headers)
    assert len(mailbox.take()) == 1


def test_so_many_notices_of_a_kind_are_sent_in_a_day(
    make_client: MakeClient, mailbox: Mailbox
) -> None:
    client = make_client(**mailbox.settings, notices_per_day=2, mail_notices="api_key_created")
    tokens = client.sign_up()
    for _ in range(4):
        client.create_api_key(tokens)
    assert len(mailbox.take()) == 2


def test_what_is_rolled_back_is_not_told(client: Client, mailbox: Mailbox, sql: Sql) -> None:
    tokens = client.sign_up()
    mailbox.take()
    body = {"name": "key", "scopes": ["admin"]}
    assert client.http.post("/api-keys", json=body, headers=tokens.headers).status_code >= 400
    assert mailbox.take() == []


def test_the_language_of_a_mail_is_that_of_the_request(client: Client, mailbox: Mailbox) -> None:
    client.register()
    for header, subject in (
        ("de", "Neues Passwort für Example setzen"),
        ("fr, de;q=0.8, en;q=0.1", "Neues Passwort für Example setzen"),
        ("xx", "Set a new password for Example"),
        ("de;q=0", "Set a new password for Example"),
    ):
        forget(client, **{"Accept-Language": header})
        assert mailbox.take_one().subject == subject


def test_an_administrator_is_still_one_after_a_reset(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    client.register()
    give_role(sql, "admin")
    forget(client)
    assert reset(client, mailbox.take_one().token).status_code == 204
    headers = client.log_in(password=NEW).headers
    assert client.http.get("/admin/users", headers=headers).status_code == 200
    assert user_id(sql) > 0
