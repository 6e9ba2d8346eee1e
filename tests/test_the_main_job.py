"""Register, log in, call a protected route, revoke, refused by the very next request."""

from tests.support.client import Client


def test_a_session_lives_from_login_to_logout(client: Client) -> None:
    assert client.register().status_code == 201
    tokens = client.log_in()
    assert client.me(tokens).json()["email"] == "ada@example.org"

    assert client.http.post("/logout", headers=tokens.headers).status_code == 204

    refused = client.me(tokens)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"
