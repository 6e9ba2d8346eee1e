"""Type-checked with the client that openapi-python-client generates, and run against a service."""

import sys

from counterfoil_client import AuthenticatedClient, Client
from counterfoil_client.api.sessions import list_sessions
from counterfoil_client.api.tokens import issue_tokens, tokens_log_in
from counterfoil_client.api.users import users_read_me
from counterfoil_client.models import (
    ErrorCode,
    EventName,
    Login,
    PasswordGrant,
    Problem,
    RefreshTokenGrant,
    TokenRead,
    UserRead,
)

url, email, password = sys.argv[1:]
anonymous = Client(base_url=url)

form = PasswordGrant(username=email, password=password, client_id="generated")
tokens = issue_tokens.sync(client=anonymous, body=form)
assert isinstance(tokens, TokenRead)
again = RefreshTokenGrant("refresh_token", tokens.refresh_token, client_id="generated")
tokens = issue_tokens.sync(client=anonymous, body=again)
assert isinstance(tokens, TokenRead)

client = AuthenticatedClient(base_url=url, token=tokens.access_token)
me = users_read_me.sync(client=client)
assert isinstance(me, UserRead)
assert me.email == email
sessions = list_sessions.sync(client=client)
assert isinstance(sessions, list)
assert [session.current for session in sessions] == [True]

refused = tokens_log_in.sync(client=anonymous, body=Login(email=email, password="wrong"))
assert isinstance(refused, Problem)
assert refused.code is ErrorCode.INVALID_CREDENTIALS
assert EventName.LOGIN_FAILED.value == "login.failed"


def a_form_without_a_password() -> PasswordGrant:
    return PasswordGrant(username=email)  # type: ignore[call-arg]
