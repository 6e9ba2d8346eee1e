"""Every action demands a fresh session, but for those that are named here: a new one demands it."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

from tests.support.actions import BY_API_KEY, EVERY_ACTION, OF_KEYS, PAGES, Stage
from tests.support.administrator import Sql
from tests.support.clock import Clock
from tests.support.factors import SECRET_KEY
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

# Another value than the default, and than any other setting has.
FRESH_SECONDS = 77

HARMLESS = {
    # What only takes credentials away: a thief gains nothing, and the owner must not be slowed
    # down by a question.
    "DELETE /admin/users/{user_id}/sessions",
    "DELETE /admin/sessions/{session_id:uuid}",
    "DELETE /admin/api-keys/{api_key_id}",
    "DELETE /sessions",
    "DELETE /sessions/{session_id}",
    "DELETE /api-keys/{api_key_id}",
    "DELETE /users/me/applications/{client_id}",
    "POST /console/users/{user_id}/sessions/end only",
    "POST /console/users/{user_id}/sessions/end-all",
    "POST /console/users/{user_id}/api-keys/{api_key_id}/revoke",
    "POST /console/sessions/end only",
    "POST /account/sessions/end only",
    "POST /account/sessions/end-others",
    "POST /account/api-keys/{api_key_id}/revoke",
    "POST /account/applications/{client_id}/remove",
    # Names that nobody signs in by, and mails to an address that the owner of the account reads.
    "PATCH /users/me name",
    "PATCH /passkeys/{passkey_id} name",
    "POST /account/factors/passkeys/{passkey_id}/rename name",
    "POST /email/verification",
    "POST /account/email/verification",
    "POST /admin/users/{user_id}/reset",
    "POST /console/users/{user_id}/reset",
    "POST /console/outbox/{mail_id}/retry",
    # The proof itself.
    "POST /sessions/confirm password",
    "POST /sessions/confirm/options",
    # The first code of an app that a fresh session has begun to add.
    "POST /factors/totp/confirm code",
    "POST /account/factors/apps/confirm",
}
OF_SESSIONS = [action for action in EVERY_ACTION if action not in [*BY_API_KEY, *OF_KEYS]]
DEMANDING = [action for action in OF_SESSIONS if str(action) not in HARMLESS]


@pytest.fixture
def stage(make_app: Callable[..., FastAPI], sql: Sql, mailbox: Mailbox) -> Iterator[Stage]:
    settings = {**mailbox.settings, "mail_notices": "", "secret_keys": (SECRET_KEY,)}
    app = make_app(**settings, fresh_seconds=FRESH_SECONDS, factor_change_ends_sessions=False)
    made = Stage(app, sql)
    with made.browser.http:
        yield made


def test_what_needs_no_proof_is_something_that_can_be_done() -> None:
    assert {str(action) for action in OF_SESSIONS} >= HARMLESS


def test_a_stolen_session_is_of_no_use_for_what_outlives_it_even_with_the_password(
    stage: Stage, sql: Sql, database_url: str
) -> None:
    """Eve has an authenticator app, so that the password in a request is no proof."""
    clock = Clock(database_url)
    ids = stage.begin()
    # Those that give her factors of their own come last.
    for action in sorted(DEMANDING, key=lambda action: "factors" in action.route):
        sql("DELETE FROM passkeys")
        sql("UPDATE totp_factors SET confirmed_at = NULL")
        sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(0)}")
        stage.browser.http.cookies.clear()
        stage.prepare(action)
        sql("UPDATE totp_factors SET confirmed_at = created_at")
        sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-FRESH_SECONDS - 1)}")
        answer = stage.act(action, ids)
        said = (answer.status_code, answer.headers.get("www-authenticate"))
        if action.route.startswith(PAGES):
            assert said == (403, None), action
            assert "Nothing has been changed yet." in answer.text, action
        else:
            error = f'Bearer error="insufficient_user_authentication", max_age="{FRESH_SECONDS}"'
            assert said == (401, error), action
