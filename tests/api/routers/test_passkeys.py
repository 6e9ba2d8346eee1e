"""Passkeys by HTTP, signed by an authenticator in software."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from tests.support import oauth
from tests.support.administrator import Sql
from tests.support.authenticator import ELIGIBLE, PRESENT, VERIFIED, Passkey, encode
from tests.support.client import PASSWORD, Client, MakeApp, MakeClient, Tokens, read_tokens
from tests.support.clock import Clock
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database


def begin(client: Client, tokens: Tokens) -> dict[str, Any]:
    answer = client.http.post("/passkeys/options", headers=tokens.headers)
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()
    return options


def add(
    client: Client, tokens: Tokens, passkey: Passkey, options: dict[str, Any] | None = None
) -> Response:
    created = passkey.register(options or begin(client, tokens))
    body = {"name": "Ada's phone", "credential": created}
    return client.http.post("/passkeys", headers=tokens.headers, json=body)


def test_a_passkey_is_added_renamed_listed_and_removed(client: Client) -> None:
    ada = client.sign_up()
    answer = add(client, ada, Passkey.synced())
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert (created["name"], created["backed_up"]) == ("Ada's phone", True)
    path = f"/passkeys/{created['id']}"
    renamed = client.http.patch(path, headers=ada.headers, json={"name": "Old phone"})
    assert renamed.json()["name"] == "Old phone"
    listed = client.http.get("/passkeys", headers=ada.headers).json()
    assert [one["name"] for one in listed] == ["Old phone"]
    assert client.http.delete(path, headers=ada.headers).status_code == 204
    assert client.http.get("/passkeys", headers=ada.headers).json() == []
    assert client.http.delete(path, headers=ada.headers).status_code == 404


def enrol(client: Client, passkey: Passkey, email: str = "ada@example.org") -> Tokens:
    """Register a user with this passkey."""
    tokens = client.sign_up(email)
    assert add(client, tokens, passkey).status_code == 201
    return tokens


def challenge(client: Client) -> dict[str, Any]:
    answer = client.http.post("/passkeys/login/options")
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()
    return options


def send(client: Client, signed: dict[str, Any], **fields: Any) -> Response:
    return client.http.post("/passkeys/login", json={"credential": signed, **fields})


def log_in(client: Client, passkey: Passkey, **fields: Any) -> Response:
    return send(client, passkey.sign(challenge(client)), **fields)


def stored(sql: Sql) -> tuple[int, bool]:
    """The counter of the only passkey, and whether it is marked."""
    ((count, marked),) = sql("SELECT sign_count, clone_suspected_at IS NOT NULL FROM passkeys")
    return count, bool(marked)


def test_an_account_logs_in_by_passkey_so_many_times_in_a_minute(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(writes_per_minute=4)
    phone = Passkey.synced()
    enrol(client, phone)
    # The login by password before counts as well.
    assert [log_in(client, phone).status_code for _ in range(5)] == [200] * 3 + [429] * 2
    assert sql("SELECT count(*) FROM sessions") == [(4,)]


def test_a_passkey_logs_in_without_a_name_or_a_password(client: Client) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    answer = log_in(client, phone, client_id="phone")
    tokens = read_tokens(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.me(tokens).json()["email"] == "ada@example.org"
    assert client.sessions(tokens)[0]["client_id"] == "phone"
    assert client.refresh(tokens.refresh_token, client_id="phone").status_code == 200


def test_a_login_by_passkey_is_fresh_and_counts_as_two_factors(client: Client, sql: Sql) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    tokens = read_tokens(log_in(client, phone))
    client.create_api_key(tokens)
    assert sql("SELECT amr FROM sessions WHERE second_factor_at IS NULL") == []
    newest = sql("SELECT amr FROM sessions ORDER BY created_at DESC LIMIT 1")
    assert newest == [("mfa pop user",)]


@pytest.mark.both_databases
def test_a_copy_whose_counter_falls_is_rejected_and_marked(client: Client, sql: Sql) -> None:
    """Scenario 7: the stored counter stays, and the owner goes on."""
    owner = Passkey(sign_count=5)
    enrol(client, owner)
    copy = owner.clone()
    assert log_in(client, owner).status_code == 200
    assert log_in(client, owner).status_code == 200
    assert stored(sql) == (7, False)
    answer = log_in(client, copy)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_passkey")
    assert stored(sql) == (7, True)
    events = sql("SELECT event FROM audit_events WHERE event = 'passkey.clone_suspected'")
    assert len(events) == 1
    tokens = read_tokens(log_in(client, owner))
    listed = client.http.get("/passkeys", headers=tokens.headers).json()
    assert listed[0]["clone_suspected_at"] is not None


def test_the_owner_of_a_passkey_that_was_copied_gets_a_mail(
    make_client: MakeClient, mailbox: Mailbox
) -> None:
    client = make_client(**mailbox.settings, mail_notices="passkey_copied")
    owner = Passkey(sign_count=5)
    enrol(client, owner)
    copy = owner.clone()
    assert log_in(client, owner).status_code == 200
    assert log_in(client, copy).status_code == 401
    assert "Ada's phone" in mailbox.take_one().text


@pytest.mark.both_databases
def test_a_forged_signature_with_a_low_counter_marks_nothing(client: Client, sql: Sql) -> None:
    """Otherwise anybody who knows the id could have a passkey marked."""
    owner = Passkey(sign_count=5)
    enrol(client, owner)
    forger = Passkey(id=owner.id, user_handle=owner.user_handle, sign_count=1)
    assert log_in(client, forger).status_code == 401
    assert stored(sql) == (5, False)


@pytest.mark.both_databases
def test_a_counter_that_stays_the_same_is_that_of_a_copy(client: Client, sql: Sql) -> None:
    owner = Passkey(sign_count=5, steps=0)
    enrol(client, owner)
    assert log_in(client, owner).status_code == 401
    assert stored(sql) == (5, True)


@pytest.mark.both_databases
def test_a_synced_passkey_logs_in_twice_but_no_signature_does(client: Client) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    first, second = phone.sign(challenge(client)), phone.sign(challenge(client))
    assert send(client, first).status_code == 200
    assert send(client, second).status_code == 200
    assert send(client, first).status_code == 401


@pytest.mark.both_databases
def test_of_eight_requests_with_one_signature_one_logs_in(
    client: Client, database_url: str
) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    signed = phone.sign(challenge(client))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(client, signed), range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [401] * 7


@pytest.mark.both_databases
def test_a_challenge_works_for_five_minutes(client: Client, sql: Sql) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    signed = phone.sign(challenge(client))
    sql("UPDATE challenges SET expires_at = created_at")
    assert send(client, signed).status_code == 401


WRONG: dict[str, dict[str, Any]] = {
    "user not verified": {"flags": PRESENT},
    "user not present": {"flags": VERIFIED},
    "embedded": {"client_data": {"crossOrigin": True}},
    "evil subdomain": {"origin": "http://evil.localhost:8000"},
    "another port": {"origin": "http://localhost:9000"},
    "another domain": {"rp_id": "evil.org"},
    "eligible for backups now": {"flags": PRESENT | VERIFIED | ELIGIBLE},
    "another type": {"client_data": {"type": "webauthn.create"}},
    "no user handle": {"user_handle": None},
    "another handle": {"user_handle": bytes(32)},
    "an id that nobody has": {"id": bytes(32)},
    "an id of 1,024 bytes": {"id": bytes(1024)},
    "an empty id": {"id": b""},
}


def test_what_is_wrong_logs_nobody_in_and_all_answers_are_the_same(
    client: Client, sql: Sql
) -> None:
    """Scenario 8."""
    owner = Passkey()
    enrol(client, owner)
    for name, changes in WRONG.items():
        answer = log_in(client, owner.clone(**changes))
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_passkey"), name
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    # That of the enrolment alone, and a failure for each.
    assert sql("SELECT count(*) FROM sessions") == [(1,)]
    failures = sql("SELECT count(*) FROM audit_events WHERE event = 'login.failed'")
    assert failures == [(len(WRONG),)]
    assert stored(sql) == (0, False)


@pytest.mark.parametrize(
    "changes", [{"flags": PRESENT}, {"origin": "http://evil.localhost:8000"}, {"id": bytes(1024)}]
)
def test_what_is_wrong_is_not_registered(client: Client, sql: Sql, changes: dict[str, Any]) -> None:
    answer = add(client, client.sign_up(), Passkey(**changes))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_passkey_registration")
    assert sql("SELECT count(*) FROM passkeys") == [(0,)]


@pytest.mark.both_databases
def test_a_passkey_is_registered_once_for_whomever(client: Client) -> None:
    phone = Passkey.synced()
    ada = enrol(client, phone)
    assert begin(client, ada)["excludeCredentials"][0]["transports"] == ["internal", "hybrid"]
    again = add(client, ada, phone)
    assert (again.status_code, again.json()["code"]) == (409, "credential_known")
    eve = client.sign_up("eve@example.org")
    assert add(client, eve, phone.clone()).status_code == 409
    assert read_tokens(log_in(client, phone)).scope


@pytest.mark.both_databases
def test_the_handle_of_another_user_does_not_log_them_in(client: Client) -> None:
    ada, eve = Passkey.synced(), Passkey.synced()
    enrol(client, ada)
    enrol(client, eve, "eve@example.org")
    assert ada.user_handle != eve.user_handle
    assert log_in(client, eve.clone(user_handle=ada.user_handle)).status_code == 401


@pytest.mark.both_databases
def test_a_challenge_is_good_for_nothing_else(client: Client) -> None:
    phone, other = Passkey.synced(), Passkey.synced()
    ada = enrol(client, phone)
    assert send(client, phone.sign(begin(client, ada))).status_code == 401
    anybodys = {**begin(client, ada), "challenge": challenge(client)["challenge"]}
    assert add(client, ada, other, anybodys).status_code == 400
    # Nor for another session, or another user.
    mine, another = begin(client, ada), read_tokens(log_in(client, phone))
    assert add(client, another, other, mine).status_code == 400
    assert add(client, ada, other, mine).status_code == 201
    assert add(client, ada, Passkey.synced(), mine).status_code == 400


def test_a_login_by_passkey_undoes_what_was_guessed_in_a_session(make_client: MakeClient) -> None:
    client = make_client(factor_attempts_per_account=2)
    phone = Passkey.synced()
    stolen = enrol(client, phone)

    def guess() -> int:
        body = {"recovery_code": "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"}
        answer = client.http.post("/sessions/confirm", headers=stolen.headers, json=body)
        return answer.status_code

    assert [guess() for _ in range(3)][-1] == 429
    assert log_in(client, phone).status_code == 200
    assert guess() != 429


def test_a_passkey_that_was_removed_logs_nobody_in(client: Client, sql: Sql) -> None:
    phone, by_sql = Passkey.synced(), Passkey.synced()
    ada = enrol(client, phone)
    add(client, ada, by_sql)
    signed = phone.sign(challenge(client))
    (first, _) = client.http.get("/passkeys", headers=ada.headers).json()
    client.http.delete(f"/passkeys/{first['id']}", headers=ada.headers)
    assert send(client, signed).status_code == 401
    signed = by_sql.sign(challenge(client))
    sql("DELETE FROM passkeys")
    assert send(client, signed).status_code == 401


def test_a_disabled_user_does_not_log_in(client: Client, sql: Sql) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    sql("UPDATE users SET is_active = false")
    answer = log_in(client, phone)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_passkey")


def test_a_session_that_is_not_fresh_neither_adds_nor_removes(
    client: Client, sql: Sql, database_url: str
) -> None:
    phone = Passkey.synced()
    ada = enrol(client, phone)
    options = begin(client, ada)
    (one,) = client.http.get("/passkeys", headers=ada.headers).json()
    before = Clock(database_url).in_seconds(-301)
    sql(f"UPDATE sessions SET confirmed_at = {before}")
    path = f"/passkeys/{one['id']}"
    answers = [
        client.http.post("/passkeys/options", headers=ada.headers),
        add(client, ada, Passkey.synced(), options),
        client.http.delete(path, headers=ada.headers),
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.json()["code"] == "insufficient_user_authentication"
    renamed = client.http.patch(path, headers=ada.headers, json={"name": "Old phone"})
    assert renamed.status_code == 200


def test_another_users_passkey_is_not_there(client: Client) -> None:
    ada = enrol(client, Passkey.synced())
    eve = client.sign_up("eve@example.org")
    (one,) = client.http.get("/passkeys", headers=ada.headers).json()
    path = f"/passkeys/{one['id']}"
    assert client.http.get("/passkeys", headers=eve.headers).json() == []
    assert client.http.delete(path, headers=eve.headers).status_code == 404
    renamed = client.http.patch(path, headers=eve.headers, json={"name": "Mine"})
    assert renamed.status_code == 404


def test_a_passkey_is_the_second_factor_of_a_login_by_password(client: Client, sql: Sql) -> None:
    phone, stranger = Passkey.synced(), Passkey.synced()
    ada = enrol(client, phone)
    enrol(client, stranger, "eve@example.org")
    before = sql("SELECT count(*) FROM sessions")
    asked = client.try_to_log_in().json()
    assert asked["code"] == "second_factor_required"
    assert asked["methods"] == ["passkey", "recovery_code"]
    token = {"mfa_token": asked["mfa_token"]}

    def options() -> dict[str, Any]:
        answer = client.http.post("/passkeys/login/options", json=token)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def complete(signed: dict[str, Any]) -> Response:
        return client.http.post("/login/second-factor", json={**token, "passkey": signed})

    assert [one["id"] for one in options()["allowCredentials"]] == [encode(phone.id)]
    for wrong in (
        phone.sign(challenge(client)),
        stranger.sign(options()),
        phone.clone(flags=PRESENT | ELIGIBLE).sign(options()),
    ):
        answer = complete(wrong)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")
    # A challenge of this login is none for a login by passkey alone.
    assert send(client, phone.sign(options())).status_code == 401
    assert sql("SELECT count(*) FROM sessions") == before
    right = phone.sign(options())
    tokens = read_tokens(complete(right))
    assert client.me(tokens).json()["email"] == "ada@example.org"
    assert complete(right).json()["code"] == "invalid_mfa_token"
    assert sql("SELECT amr FROM sessions ORDER BY created_at DESC LIMIT 1") == [
        ("mfa pop pwd user",)
    ]
    assert client.me(ada).status_code == 200


def test_options_for_a_login_that_does_not_wait_are_rejected(client: Client, sql: Sql) -> None:
    enrol(client, Passkey.synced())
    body = {"mfa_token": client.try_to_log_in().json()["mfa_token"]}
    sql("UPDATE challenges SET expires_at = created_at")
    for sent in (body, {"mfa_token": "cft_made-up"}, {"mfa_token": "\u2603"}):
        answer = client.http.post("/passkeys/login/options", json=sent)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_mfa_token")


def test_a_passkey_confirms_a_session_and_the_password_does_not(
    client: Client, sql: Sql, database_url: str
) -> None:
    phone = Passkey.synced()
    ada = enrol(client, phone)
    eve = enrol(client, Passkey.synced(), "eve@example.org")
    before = Clock(database_url).in_seconds(-301)
    sql(f"UPDATE sessions SET confirmed_at = {before}")

    def confirm(tokens: Tokens, **given: Any) -> Response:
        return client.http.post("/sessions/confirm", headers=tokens.headers, json=given)

    def options(tokens: Tokens) -> dict[str, Any]:
        answer = client.http.post("/sessions/confirm/options", headers=tokens.headers)
        found: dict[str, Any] = answer.json()
        return found

    by_password = confirm(ada, password=PASSWORD)
    assert (by_password.status_code, by_password.json()["methods"][0]) == (401, "passkey")
    another = read_tokens(log_in(client, phone))
    for wrong in (challenge(client), options(eve), options(another)):
        answer = confirm(ada, passkey=phone.sign(wrong))
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_code")
    assert client.http.post("/passkeys/options", headers=ada.headers).status_code == 401
    signed = phone.sign(options(ada))
    assert confirm(ada, passkey=signed).status_code == 204
    assert client.http.post("/passkeys/options", headers=ada.headers).status_code == 200
    assert confirm(ada, passkey=signed).status_code == 403


def test_the_first_passkey_comes_with_recovery_codes(client: Client) -> None:
    ada = client.sign_up()
    other = client.log_in()
    first = add(client, ada, Passkey.synced())
    assert first.headers["Cache-Control"] == "no-store"
    codes = first.json()["recovery_codes"]
    assert len(codes) == 10
    assert add(client, ada, Passkey.synced()).json()["recovery_codes"] == []
    # Sessions from before cannot go on as if nothing had changed.
    assert client.me(other).status_code == 401
    sent = {"mfa_token": client.try_to_log_in().json()["mfa_token"], "recovery_code": codes[0]}
    assert client.http.post("/login/second-factor", json=sent).status_code == 200


def test_the_last_factor_stays_where_a_role_requires_one(client: Client, sql: Sql) -> None:
    ada = enrol(client, Passkey.synced())
    add(client, ada, Passkey.synced())
    sql("UPDATE roles SET requires_second_factor = true WHERE name = 'user'")
    first, last = client.http.get("/passkeys", headers=ada.headers).json()
    assert client.http.delete(f"/passkeys/{first['id']}", headers=ada.headers).status_code == 204
    answer = client.http.delete(f"/passkeys/{last['id']}", headers=ada.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_factor")


def test_the_number_of_passkeys_is_limited(make_client: MakeClient) -> None:
    client = make_client(max_passkeys_per_user=2)
    ada = enrol(client, Passkey.synced())
    options = begin(client, ada)
    assert add(client, ada, Passkey.synced()).status_code == 201
    answer = client.http.post("/passkeys/options", headers=ada.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "passkey_limit_reached")
    assert add(client, ada, Passkey.synced(), options).status_code in {400, 409}


def test_a_network_begins_only_so_many_logins(make_app: MakeApp, sql: Sql) -> None:
    app = make_app(trusted_proxies="127.0.0.1", passkey_options_per_address=3)
    with TestClient(app, client=("127.0.0.1", 50_000)) as http:

        def ask(ip: str) -> Response:
            return http.post("/passkeys/login/options", headers={"X-Forwarded-For": ip})

        answers = [ask("192.0.2.1") for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert int(answers[3].headers["Retry-After"]) > 0
        assert sql("SELECT count(*) FROM challenges") == [(3,)]
        assert ask("192.0.2.2").status_code == 200


def test_unknown_challenges_leave_nothing_behind(client: Client, sql: Sql) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    before = sql("SELECT count(*) FROM audit_events")
    for made_up in (bytes(32), bytes(31), b""):
        assert send(client, phone.sign({"challenge": encode(made_up)})).status_code == 401
    assert sql("SELECT count(*) FROM audit_events") == before


def test_scopes_and_labels_are_those_of_a_login(client: Client) -> None:
    phone = Passkey.synced()
    enrol(client, phone)
    answer = log_in(client, phone, scope="admin")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_scope")
    assert log_in(client, phone, client_id="a\u200bb").status_code == 422
    assert log_in(client, phone, scop="account").status_code == 422
    assert read_tokens(log_in(client, phone, scope="account")).scope == "account"


def test_a_label_that_is_the_id_of_a_registered_client_has_to_be_proven(
    client: Client, sql: Sql, database_url: str
) -> None:
    """Else an API that trusts tokens of a client would trust whoever names it."""
    phone = Passkey.synced()
    enrol(client, phone)
    oauth.add_client(sql, database_url, "secretive", secret=oauth.SECRET, grants="password")
    oauth.add_client(sql, database_url, "elsewhere", grants="authorization_code")
    oauth.add_client(sql, database_url, "public", grants="password refresh_token")
    answers = [log_in(client, phone, client_id=name) for name in ("secretive", "elsewhere")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "invalid_client"),
        (403, "unauthorized_client"),
    ]
    tokens = read_tokens(log_in(client, phone, client_id="public", scope="account"))
    sql("DELETE FROM oauth_clients WHERE id = 'public'")
    assert client.me(tokens).status_code == 401


ODD: list[Any] = [None, "", 7, [], {}, "\x00", "ä", "a" * 30_000, "A" * 5, "!!!!"]


@pytest.mark.parametrize("path", ["/passkeys/login", "/passkeys"])
def test_odd_input_is_a_4xx(client: Client, path: str) -> None:
    phone = Passkey.synced()
    ada = enrol(client, phone)
    signed = phone.sign(challenge(client))
    if path == "/passkeys":
        signed = Passkey.synced().register(begin(client, ada))
    for name in (*signed, *signed["response"]):
        for odd in ODD:
            sent = {**signed, "response": {**signed["response"]}}
            place = sent if name in signed else sent["response"]
            if name in {"clientExtensionResults", "authenticatorAttachment", "id"}:
                continue
            place[name] = odd
            body = {"credential": sent, **({"name": "x"} if path == "/passkeys" else {})}
            answer = client.http.post(path, json=body, headers=ada.headers)
            if (name, odd) in [("transports", []), ("userHandle", None)]:
                continue
            assert 400 <= answer.status_code < 500, (name, odd, answer.text)
