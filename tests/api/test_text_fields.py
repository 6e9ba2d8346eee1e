"""Any text in any field is either stored as it is, on both databases, or refused."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client import Client, MakeClient
from tests.support.mailbox import Mailbox

# Everything JSON can say: NUL, controls, lone surrogates, what PostgreSQL and SQLite differ about.
ANYTHING = st.text(st.characters(), max_size=300)
REPEATABLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
JSON = {"Content-Type": "application/json"}


def body_of(fields: dict[str, Any]) -> bytes:
    # Escaped, since a lone surrogate has no other spelling.
    return json.dumps(fields).encode("ascii")


@pytest.mark.parametrize("field", ["name", "surname", "website"])
def test_text_is_stored_as_it_is_or_refused(client: Client, field: str) -> None:
    bearer = {**JSON, **client.sign_up().headers}

    @REPEATABLE
    @given(ANYTHING)
    def change(text: str) -> None:
        response = client.http.patch("/users/me", content=body_of({field: text}), headers=bearer)
        if response.status_code == 200:
            assert response.json()[field] == text.strip()
            assert client.http.get("/users/me", headers=bearer).json()[field] == text.strip()
        else:
            assert response.status_code == 422
            assert response.json()["errors"][0]["field"] == field

    change()


@pytest.mark.parametrize("field", ["email", "username", "password", "client_id", "scope"])
def test_no_text_upsets_a_login(client: Client, field: str) -> None:
    client.register(username="ada")

    @REPEATABLE
    @given(ANYTHING)
    def log_in(text: str) -> None:
        who = {} if field in {"email", "username"} else {"username": "ada"}
        body = {"password": "wrong", **who, field: text}
        response = client.http.post("/login", content=body_of(body), headers=JSON)
        assert response.status_code in {401, 422, 429}
        form = {"grant_type": "password", "username": "ada", "password": "wrong", field: text}
        encodable = {name: one.encode(errors="surrogatepass") for name, one in form.items()}
        response = client.http.post("/token", data=encodable)
        assert response.status_code in {400, 429}

    log_in()


@pytest.mark.parametrize("field", ["email", "username", "password"])
def test_an_account_is_made_of_any_text_or_refused(client: Client, field: str) -> None:
    @REPEATABLE
    @given(ANYTHING)
    def register(text: str) -> None:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        response = client.http.post(
            "/register", content=body_of({**body, field: text}), headers=JSON
        )
        assert response.status_code in {201, 409, 422}
        assert "password" not in response.json()

    register()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/password/forgot", "email"),
        ("/password/reset", "token"),
        ("/password/reset", "new_password"),
        ("/email/verify", "token"),
        ("/email/verify", "transaction"),
        ("/email/verify", "code"),
        ("/email/revert", "token"),
    ],
)
def test_no_text_upsets_what_a_mail_confirms(
    make_client: MakeClient, mailbox: Mailbox, path: str, field: str
) -> None:
    client = make_client(**mailbox.settings)

    @REPEATABLE
    @given(ANYTHING)
    def send(text: str) -> None:
        body = {"transaction": "cft_x"} if field == "code" else {}
        body |= {"code": "BBBB-BBBB"} if field == "transaction" else {}
        body |= {"new_password": "a long passphrase"} if path == "/password/reset" else {}
        body |= {"token": "cfm_x"} if field == "new_password" else {}
        answer = client.http.post(path, content=body_of({**body, field: text}), headers=JSON)
        assert answer.status_code in {202, 400, 422, 429}

    send()
