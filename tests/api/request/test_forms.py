"""The token endpoint to the letter of RFC 6749: what it reads, and how it refuses."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.administrator import Sql
from tests.support.client import PASSWORD, Client, read_tokens

pytestmark = pytest.mark.one_database

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LOGIN = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}


def post(client: Client, form: dict[str, Any], **headers: str) -> Any:
    return client.http.post("/token", data=form, headers=headers)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def ada(client: Client) -> Client:
    client.register()
    return client


def test_a_success_has_all_members_and_is_not_to_be_stored(ada: Client) -> None:
    answer = post(ada, LOGIN)

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 3600, "account")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "authorization-code"}, "unsupported_grant_type"),
        ({"grant_type": "PASSWORD"}, "unsupported_grant_type"),
        ({"grant_type": "", "username": ""}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"username": ""}, "invalid_request"),
        ({"password": ""}, "invalid_request"),
        ({"password": "wrong"}, "invalid_grant"),
        ({"username": "nobody@example.org"}, "invalid_grant"),
        ({"username": "a\x00b"}, "invalid_request"),
        ({"scope": "unknown"}, "invalid_scope"),
        ({"scope": "account admin"}, "invalid_scope"),
        ({"client_id": "x" * 201}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_each_refusal_has_its_code(ada: Client, change: dict[str, str], error: str) -> None:
    refused = post(ada, {**LOGIN, **change})

    body = refused.json()
    assert (refused.status_code, body["error"]) == (400, error)
    assert set(body) == {"error", "error_description"}
    assert body["error_description"].isascii()
    assert refused.headers["content-type"] == "application/json"
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["pragma"] == "no-cache"


@pytest.mark.parametrize("name", ["grant_type", "username", "password", "scope", "client_id"])
def test_a_repeated_parameter_is_an_invalid_request(ada: Client, name: str) -> None:
    form = {**LOGIN, "scope": "account", "client_id": "phone"}
    pairs = [f"{key}={value}" for key, value in form.items()] + [f"{name}={form[name]}"]
    refused = ada.http.post("/token", headers=FORM, content="&".join(pairs))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_a_parameter_that_is_not_known_is_ignored(ada: Client) -> None:
    assert post(ada, {**LOGIN, "resource": "https://example.org"}).status_code == 200


def test_a_parameter_without_a_value_counts_as_not_sent(ada: Client) -> None:
    assert post(ada, {**LOGIN, "scope": "", "client_id": ""}).status_code == 200


@pytest.mark.parametrize("body", [b"%ff=%fe", b"\xff\xfe", b"a=1&" * 60, b"", b"{}"])
def test_a_body_that_is_no_form_is_an_invalid_request(client: Client, body: bytes) -> None:
    refused = client.http.post("/token", headers=FORM, content=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_another_content_type_is_an_invalid_request(ada: Client) -> None:
    assert ada.http.post("/token", json=LOGIN).json()["error"] == "invalid_request"
    assert ada.http.post("/token", files={"a": b"b"}).json()["error"] == "invalid_request"
    charset = {"Content-Type": "Application/X-WWW-Form-URLEncoded; charset=UTF-8"}
    assert ada.http.post("/token", data=LOGIN, headers=charset).status_code == 200


def test_nothing_is_taken_from_the_query_string(ada: Client) -> None:
    refused = ada.http.post("/token", params=LOGIN, headers=FORM)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert ada.http.get("/token", params=LOGIN).status_code == 405


def test_a_form_without_grant_type_is_a_login_only_with_credentials(ada: Client) -> None:
    form = {"username": LOGIN["username"], "password": PASSWORD}
    assert post(ada, form).status_code == 200
    assert post(ada, {"username": LOGIN["username"]}).json()["error"] == "invalid_request"


def test_a_grant_that_is_off_is_unsupported(make_client: Callable[..., Client]) -> None:
    client = make_client(password_grant=False)
    tokens = client.sign_up()
    assert post(client, LOGIN).json()["error"] == "unsupported_grant_type"
    assert client.refresh(tokens.refresh_token).status_code == 200


def test_the_client_id_comes_from_the_form_or_from_basic_and_is_recorded(
    ada: Client, sql: Sql
) -> None:
    post(ada, {**LOGIN, "client_id": "phone"})
    post(ada, LOGIN, Authorization=basic("tab%20let:ignored"))
    post(ada, {**LOGIN, "client_id": "web"}, Authorization=basic("web:"))
    # What Swagger UI sends for empty fields.
    post(ada, LOGIN, Authorization="Basic Og==")

    recorded = [name for (name,) in sql("SELECT client_id FROM sessions ORDER BY created_at")]
    assert recorded == ["phone", "tab let", "web", None]


@pytest.mark.parametrize(
    "header", [basic("other:"), basic("no colon"), "Basic ?", "Basic", basic("\x00:")]
)
def test_a_basic_header_that_contradicts_or_cannot_be_read_is_refused(
    ada: Client, header: str
) -> None:
    refused = post(ada, {**LOGIN, "client_id": "phone"}, Authorization=header)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_a_refresh_token_is_bound_to_its_client(ada: Client) -> None:
    tokens = read_tokens(post(ada, {**LOGIN, "client_id": "phone"}))

    assert ada.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"
    stolen = ada.refresh(tokens.refresh_token, client_id="laptop")
    assert stolen.json()["error"] == "invalid_grant"
    assert ada.refresh(tokens.refresh_token, client_id="phone").status_code == 200
