"""A user's own sessions: listed without a token, ended one by one or all together."""

from itertools import chain
from uuid import uuid4

import pytest
from httpx2 import Response

from tests.support.administrator import Sql, events, give_role
from tests.support.client import Client, MakeClient


def test_logging_out_ends_the_session_of_the_token_sent_and_no_other(client: Client) -> None:
    tokens = client.sign_up()
    other = client.log_in()
    answer = client.http.post("/logout", headers=tokens.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.me(tokens).status_code == 401
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"
    assert client.me(other).status_code == 200
    assert client.http.post("/logout", headers=tokens.headers).status_code == 401


def test_a_narrowed_token_can_still_log_out(client: Client, sql: Sql) -> None:
    client.register()
    sql("UPDATE roles SET scopes = 'orders' WHERE name = 'user'")
    tokens = client.log_in(scope="orders")
    assert client.http.post("/logout", headers=tokens.headers).status_code == 204


def test_sessions_are_listed_newest_first_with_the_current_one_marked(client: Client) -> None:
    client.register()
    client.log_in(client_id="first")
    tokens = client.log_in(client_id="second")
    client.log_in(client_id="third")
    client.sign_up("other@example.org")
    found = client.sessions(tokens)
    assert [session["client_id"] for session in found] == ["third", "second", "first"]
    assert [session["current"] for session in found] == [False, True, False]
    assert set(found[0]) == {
        *("id", "client_id", "ip", "user_agent", "current"),
        *("created_at", "last_used_at", "expires_at"),
    }


def test_a_list_of_sessions_shows_no_token(client: Client) -> None:
    tokens = client.sign_up()
    text = client.http.get("/sessions", headers=tokens.headers).text
    for token in (tokens.access_token, tokens.refresh_token):
        assert token not in text
    assert "cfa_" not in text
    assert "digest" not in text


def test_a_session_says_where_it_came_from(client: Client) -> None:
    client.register()
    body = {"email": "ada@example.org", "password": "correct horse battery staple"}
    agent = "x" * 2000
    token = client.http.post("/login", json=body, headers={"User-Agent": agent}).json()
    [session] = client.http.get(
        "/sessions", headers={"Authorization": f"Bearer {token['access_token']}"}
    ).json()
    assert session["user_agent"] == "x" * 500


def test_one_ends_another_session_by_its_id(client: Client) -> None:
    tokens = client.sign_up()
    phone = client.log_in(client_id="phone")
    [phone_id] = [one["id"] for one in client.sessions(tokens) if not one["current"]]
    answer = client.http.delete(f"/sessions/{phone_id}", headers=tokens.headers)
    assert answer.status_code == 204
    assert client.me(phone).status_code == 401
    assert client.refresh(phone.refresh_token, client_id="phone").status_code == 400
    assert client.me(tokens).status_code == 200
    again = client.http.delete(f"/sessions/{phone_id}", headers=tokens.headers)
    assert (again.status_code, again.json()["code"]) == (404, "not_found")


def test_one_may_end_the_current_session_by_its_id(client: Client) -> None:
    tokens = client.sign_up()
    [current] = client.sessions(tokens)
    url = f"/sessions/{current['id']}"
    assert client.http.delete(url, headers=tokens.headers).status_code == 204
    assert client.me(tokens).status_code == 401


def test_the_session_of_another_is_not_found_and_lives_on(client: Client) -> None:
    mine = client.sign_up()
    theirs = client.sign_up("other@example.org")
    [session] = client.sessions(theirs)
    refused = client.http.delete(f"/sessions/{session['id']}", headers=mine.headers)
    unknown = client.http.delete(f"/sessions/{uuid4()}", headers=mine.headers)
    assert refused.status_code == unknown.status_code == 404
    assert refused.text == unknown.text
    assert client.me(theirs).status_code == 200


@pytest.mark.one_database
def test_what_is_no_id_of_a_session_is_refused(client: Client) -> None:
    tokens = client.sign_up()
    for wrong in ["1", "x", "%00", "00000000-0000-0000-0000-00000000000"]:
        answer = client.http.delete(f"/sessions/{wrong}", headers=tokens.headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


def test_all_sessions_end_or_all_but_the_current_one(client: Client) -> None:
    tokens = client.sign_up()
    others = [client.log_in() for _ in range(3)]
    bystander = client.sign_up("other@example.org")
    url = "/sessions?keep_current=true"
    assert client.http.delete(url, headers=tokens.headers).json() == {"ended": 3}
    for other in others:
        assert client.me(other).status_code == 401
        assert client.refresh(other.refresh_token).status_code == 400
    assert client.me(tokens).status_code == 200
    assert client.http.delete("/sessions", headers=tokens.headers).json() == {"ended": 1}
    assert client.me(tokens).status_code == 401
    assert client.me(bystander).status_code == 200
    assert client.me(client.log_in()).status_code == 200


def test_each_end_of_a_session_is_recorded(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    client.http.delete("/sessions?keep_current=true", headers=tokens.headers)
    client.http.post("/logout", headers=tokens.headers)
    assert events(sql)[2:] == ["sessions.revoked", "session.revoked"]
    assert sql("SELECT revoked_reason FROM sessions") == [("logout",)]


def test_without_a_limit_one_logs_in_as_often_as_one_likes(client: Client) -> None:
    client.register()
    tokens = [client.log_in() for _ in range(12)]
    assert all(client.me(one).status_code == 200 for one in tokens)


def test_past_the_limit_a_login_is_refused_if_that_is_the_policy(make_client: MakeClient) -> None:
    client = make_client(max_sessions_per_user=2, session_limit_policy="refuse")
    first = client.sign_up()
    second = client.log_in()
    refused = client.try_to_log_in()
    assert (refused.status_code, refused.json()["code"]) == (409, "session_limit_reached")
    form = {"username": "ada@example.org", "password": "correct horse battery staple"}
    assert client.http.post("/token", data=form).json()["error"] == "invalid_grant"
    # A wrong password is told nothing about the limit.
    assert client.try_to_log_in(password="wrong horse").status_code == 401
    client.http.post("/logout", headers=second.headers)
    third = client.log_in()
    assert client.me(first).status_code == client.me(third).status_code == 200


def test_past_the_limit_the_oldest_session_gives_way(make_client: MakeClient) -> None:
    client = make_client(max_sessions_per_user=2, session_limit_policy="evict-oldest")
    first, second, third = client.sign_up(), client.log_in(), client.log_in()
    assert [client.me(one).status_code for one in (first, second, third)] == [401, 200, 200]
    assert client.refresh(first.refresh_token).status_code == 400


def test_past_the_limit_the_longest_unused_session_gives_way(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(max_sessions_per_user=2, session_limit_policy="evict-idle")
    client.register()
    first, second = client.log_in(client_id="a"), client.log_in(client_id="b")
    sql("UPDATE sessions SET last_used_at = '2020-01-01 00:00:00' WHERE client_id = 'b'")
    third = client.log_in()
    assert [client.me(one).status_code for one in (first, second, third)] == [200, 401, 200]


def test_a_limit_of_one_is_the_one_token_table_of_the_tutorials(make_client: MakeClient) -> None:
    client = make_client(max_sessions_per_user=1)
    first = client.sign_up()
    other = client.sign_up("other@example.org")
    second = client.log_in()
    assert client.me(first).status_code == 401
    assert client.me(second).status_code == client.me(other).status_code == 200


def test_sessions_that_have_ended_do_not_count_towards_the_limit(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(max_sessions_per_user=1, session_limit_policy="refuse")
    client.sign_up()
    sql("DELETE FROM access_tokens")
    client.log_in()
    sql("UPDATE users SET session_epoch = session_epoch + 1")
    client.log_in()


def test_by_default_a_hundred_sessions_live_and_the_longest_unused_gives_way(
    client: Client, sql: Sql
) -> None:
    tokens = [client.sign_up(), *(client.log_in() for _ in range(99))]
    # The oldest was used a moment ago, the second not for an hour.
    sql("UPDATE sessions SET last_used_at = '2026-01-02 00:00:00'")
    ids = [one["id"] for one in reversed(client.sessions(tokens[0]))]
    sql(f"UPDATE sessions SET last_used_at = '2026-01-01 00:00:00' WHERE id = '{ids[1]}'")
    newest = client.log_in()
    assert client.me(tokens[1]).status_code == 401
    others = [tokens[0], *tokens[2:], newest]
    assert {client.me(one).status_code for one in others} == {200}
    assert len(client.sessions(newest)) == 100


def next_page(response: Response) -> str | None:
    link: str | None = response.headers.get("link")
    if link is None:
        return None
    target, relation = link.split("; ")
    assert relation == 'rel="next"'
    return target.strip("<>")


@pytest.mark.parametrize(("limit", "sizes"), [(2, [2, 2, 1]), (5, [5]), (4, [4, 1]), (1, [1] * 5)])
def test_sessions_come_in_pages(client: Client, limit: int, sizes: list[int]) -> None:
    tokens = [client.sign_up(), *(client.log_in() for _ in range(4))]
    whole = client.sessions(tokens[0])
    found: list[list[dict[str, object]]] = []
    path: str | None = f"?limit={limit}"
    while path:
        answer = client.http.get(f"/sessions{path}", headers=tokens[0].headers)
        found.append(answer.json())
        path = next_page(answer)
    assert [len(page) for page in found] == sizes
    assert list(chain(*found)) == whole


def test_a_session_that_begins_or_ends_meanwhile_moves_no_other(client: Client) -> None:
    tokens = [client.sign_up(), *(client.log_in() for _ in range(3))]
    first = client.http.get("/sessions?limit=2", headers=tokens[0].headers)
    client.log_in()
    client.http.delete(f"/sessions/{first.json()[0]['id']}", headers=tokens[0].headers)
    path = next_page(first)
    rest = client.http.get(f"/sessions{path}", headers=tokens[0].headers)
    assert len({one["id"] for one in first.json() + rest.json()}) == 4


# The time in it has a lone surrogate, which no database accepts as text.
SURROGATE = (
    "WyIyMDI0LTAxLTAxXHVkODAwMDA6MDA6MDAiLCIwYjljNmYwZS03YjBlLTRhNTItOWQ4Zi0wYTRmMmIxYzNkNWUiXQ"
)
BAD_PAGES = [
    *("limit=0", "limit=201", "limit=x"),
    *("cursor=nonsense", "cursor=", f"cursor={SURROGATE}"),
]


@pytest.mark.one_database
@pytest.mark.parametrize("query", BAD_PAGES)
@pytest.mark.parametrize("path", ["/sessions", "/api-keys"])
def test_a_page_that_cannot_be_is_a_422(client: Client, path: str, query: str) -> None:
    answer = client.http.get(f"{path}?{query}", headers=client.sign_up().headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


def test_api_keys_come_in_pages_for_their_owner_and_for_administrators(
    client: Client, sql: Sql
) -> None:
    client.register()
    give_role(sql, "admin")
    tokens = client.log_in()
    names = [client.create_api_key(tokens, name=f"key {n}")["name"] for n in range(5)]
    for path in ("/api-keys", "/admin/users/1/api-keys"):
        found: list[str] = []
        target: str | None = "?limit=2"
        while target:
            answer = client.http.get(f"{path}{target}", headers=tokens.headers)
            assert len(answer.json()) <= 2
            found += [one["name"] for one in answer.json()]
            target = next_page(answer)
        assert found == names[::-1]
