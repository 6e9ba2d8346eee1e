"""What writes for a caller asks again, in its transaction, whether the caller still may.

Authority that is lost after the lookup of a request leaves nothing written by it, and authority
that is taken while a request writes is taken only once the request is over.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api import pages
from api.console import pages as console
from api.dependencies import ActorDependency
from api.routing.route_group import flatten
from api.web.signed_in_user import (
    get_signed_in_actor,
    get_signed_in_administrator,
    get_signed_in_revoker,
)
from authentication.credentials.actor import Actor, Held
from tests.support.actions import (
    BY_API_KEY,
    EVERY_ACTION,
    OF_ADMINISTRATORS,
    OF_USERS,
    ON_PAGES_OF_ADMINISTRATORS,
    WITH_EVERY_LOSS,
    Action,
    Ids,
    Stage,
    losses,
)
from tests.support.administrator import Sql, run_sql
from tests.support.factors import SECRET_KEY
from tests.support.mailbox import Mailbox
from tests.support.waiting import until

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

# Routes that write for nobody, or nothing but the end of the very credential that they are sent.
WITHOUT_ACTOR = {
    ("POST", "/register"),
    ("POST", "/login"),
    ("POST", "/login/second-factor"),
    ("POST", "/passkeys/login"),
    ("POST", "/passkeys/login/options"),
    ("POST", "/token"),
    ("POST", "/logout"),
    ("POST", "/introspect"),
    ("POST", "/revoke"),
    ("POST", "/sign-in"),
    ("POST", "/sign-in/passkey"),
    ("POST", "/sign-in/second-factor"),
    ("POST", "/account/register"),
    ("POST", "/device_authorization"),
    # It only redirects.
    ("POST", "/authorize"),
    # What entitles to these is a link that only the owner of a mailbox can know.
    ("POST", "/password/forgot"),
    ("POST", "/password/reset"),
    ("POST", "/email/verify"),
    ("POST", "/email/revert"),
    ("POST", "/account/forgot-password"),
    ("POST", "/account/reset-password"),
    ("POST", "/account/confirm-email"),
    ("POST", "/account/revert-email"),
}
# All actions ask again by the same code: one of each kind is tried on both databases.
ON_BOTH = [
    action if action in WITH_EVERY_LOSS else pytest.param(action, marks=pytest.mark.one_database)
    for action in EVERY_ACTION
]
WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def stage(make_app: Callable[..., FastAPI], sql: Sql, mailbox: Mailbox) -> Iterator[Stage]:
    many = {"registrations_per_address": 10_000, "database_deadline_seconds": 30}
    keys = {"secret_keys": (SECRET_KEY,)}
    made = Stage(make_app(**many, **keys, **mailbox.settings, mail_notices=""), sql)
    with made.browser.http:
        yield made


@dataclass
class Interruption:
    """Runs something at one of the holds of a user, before it or after it, once."""

    user_id: int = -1
    number: int = -1
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    seen: int = 0

    def at(self, user_id: int, number: int = 0, **what: Callable[[], None]) -> None:
        self.__init__(user_id, number, **what)  # type: ignore[misc]


@pytest.fixture
def interruption(monkeypatch: pytest.MonkeyPatch) -> Interruption:
    made = Interruption()
    hold = Actor.hold

    def interrupted(actor: Actor, *args: Any, **options: Any) -> Held:
        is_due = actor.identity.user_id == made.user_id and made.seen == made.number
        made.seen += actor.identity.user_id == made.user_id
        if is_due:
            made.before()
        held = hold(actor, *args, **options)
        if is_due:
            made.after()
        return held

    monkeypatch.setattr(Actor, "hold", interrupted)
    return made


def holds_of(action: Action) -> int:
    """A password is checked before the transaction that it is for: each holds the actor."""
    return 2 if "current_password" in action.body else 1


def every_route(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    """The routes of the API and of the console that are not only read."""
    of_pages = [
        (prefix, route)
        for prefix, package in (("/console", console), ("", pages))
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        for route in routes_of(found.name)
    ]
    of_api = [("", route) for route in flatten(app.router.routes)]
    for prefix, route in [*of_api, *of_pages]:
        if isinstance(route, APIRoute):
            for method in set(route.methods or ()) - {"GET", "HEAD", "OPTIONS"}:
                yield method, prefix + route.path, route


def routes_of(module: str) -> list[APIRoute]:
    """Those of the module's router, if it has one."""
    router = getattr(importlib.import_module(module), "router", None)
    return [route for route in router.routes if isinstance(route, APIRoute)] if router else []


def has_actor(dependant: Dependant) -> bool:
    is_actor = isinstance(dependant.call, ActorDependency) or dependant.call in {
        get_signed_in_actor,
        get_signed_in_revoker,
        get_signed_in_administrator,
    }
    return is_actor or any(map(has_actor, dependant.dependencies))


def test_every_route_that_writes_takes_an_actor_and_is_tried_below(
    make_app: Callable[..., FastAPI], database_url: str, mailbox: Mailbox
) -> None:
    tried = {(action.method, action.route) for action in EVERY_ACTION}
    # It ends only the session that it is sent.
    tried.add(("POST", "/sign-out"))
    # It only reads.
    tried.add(("POST", "/device"))
    found = 0
    for method, path, route in every_route(make_app(**mailbox.settings)):
        if (method, path) in WITHOUT_ACTOR:
            continue
        assert has_actor(route.dependant), (method, path)
        assert (method, path) in tried, (method, path)
        found += 1
    assert found >= len(tried)


@pytest.mark.parametrize("action", ON_BOTH, ids=str)
def test_the_action_succeeds_if_nothing_is_taken(
    stage: Stage, action: Action, interruption: Interruption
) -> None:
    ids = stage.begin(action)
    stage.prepare(action)
    interruption.at(ids.eve)
    assert stage.act(action, ids).status_code in {200, 201, 202, 204, 303}
    assert interruption.seen == holds_of(action)


@pytest.mark.parametrize("action", ON_BOTH, ids=str)
def test_what_is_taken_by_sql_after_the_lookup_leaves_nothing_written(
    stage: Stage, action: Action, interruption: Interruption, sql: Sql
) -> None:
    for name, statement in losses(action).items():
        for number in range(holds_of(action)):
            ids = stage.begin(action)
            stage.prepare(action)
            left: dict[str, Any] = {}

            def take(statement: str = statement, ids: Ids = ids, left: Any = left) -> None:
                sql(statement.format(id=ids.eve))
                left.update(stage.rows())

            interruption.at(ids.eve, number, before=take)
            answer = stage.act(action, ids)
            assert left, name
            assert answer.status_code in {303, 401, 403}, (name, answer.text)
            if answer.status_code == 303:
                assert answer.headers["location"] == "/sign-in", name
            assert stage.rows() == left, name


BY_ENDPOINT = {
    "disabled": ("PATCH", "/admin/users/{ids.eve}", {"is_active": False}),
    "demoted": ("PATCH", "/admin/users/{ids.eve}", {"roles": ["user"]}),
    "sessions revoked": ("DELETE", "/admin/users/{ids.eve}/sessions", None),
}


# An endpoint takes the same as a statement, which every action is tried with above.
@pytest.mark.one_database
@pytest.mark.parametrize("action", [OF_ADMINISTRATORS[0], ON_PAGES_OF_ADMINISTRATORS[0]], ids=str)
def test_what_an_administrator_takes_after_the_lookup_leaves_nothing_written(
    stage: Stage, action: Action, interruption: Interruption
) -> None:
    for name, (method, path, body) in BY_ENDPOINT.items():
        ids = stage.begin(action)
        stage.prepare(action)
        headers = stage.root.headers
        left: dict[str, Any] = {}

        def take(
            method: str = method,
            path: str = path,
            body: Any = body,
            ids: Ids = ids,
            headers: Any = headers,
            left: Any = left,
        ) -> None:
            path = path.format(ids=ids)
            request = stage.client.http.request
            answer = request(method, path, json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            left.update(stage.rows())

        interruption.at(ids.eve, before=take)
        assert stage.act(action, ids).status_code in {303, 401, 403}, name
        assert stage.rows() == left, name


# All take the same locks, whatever the credential.
EVERY_LOCK = [*OF_ADMINISTRATORS, *OF_USERS, *WITH_EVERY_LOSS[3:], BY_API_KEY[0]]


@on_postgresql
@pytest.mark.parametrize("action", EVERY_LOCK, ids=str)
def test_what_is_taken_while_a_request_writes_waits_for_it(
    stage: Stage, action: Action, interruption: Interruption, sql: Sql, database_url: str
) -> None:
    for name, statement in losses(action).items():
        ids = stage.begin(action)
        stage.prepare(action)
        taken: list[Future[Any]] = []
        with ThreadPoolExecutor(1) as thread:

            def take(
                statement: str = statement, ids: Ids = ids, taken: Any = taken, thread: Any = thread
            ) -> None:
                # On another connection than the one that is asked who waits.
                taking = thread.submit(run_sql, database_url, statement.format(id=ids.eve))
                taken.append(taking)
                until(lambda: sql(WAITING))

            interruption.at(ids.eve, holds_of(action) - 1, after=take)
            assert stage.act(action, ids).status_code in {200, 201, 202, 204, 303}, name
        assert taken[0].exception() is None, name


@on_postgresql
@pytest.mark.parametrize("action", WITH_EVERY_LOSS[:3], ids=str)
def test_what_is_being_taken_is_waited_for(
    stage: Stage, action: Action, sql: Sql, database_url: str
) -> None:
    for name, statement in losses(action).items():
        ids = stage.begin(action)
        with closing(psycopg2.connect(database_url)) as other, ThreadPoolExecutor(1) as thread:
            other.cursor().execute(statement.format(id=ids.eve))
            acting = thread.submit(stage.act, action, ids)
            until(lambda: sql(WAITING))
            other.commit()
            left = stage.rows()
            assert acting.result().status_code in {401, 403}, name
        assert stage.rows() == left, name
