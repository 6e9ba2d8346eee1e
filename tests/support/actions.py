"""Every request that changes something, made by a user from whom anything can be taken."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyotp
from fastapi import FastAPI
from httpx2 import Response

from database.models.user import NO_PASSWORD
from tests.support import factors
from tests.support.administrator import Sql, insert_user, user_id
from tests.support.authenticator import Passkey
from tests.support.client import PASSWORD, Client, Tokens
from tests.support.console import ConsoleClient
from tests.support.oauth import CALLBACK, DEVICE_GRANT, Application, transaction_of

T = TypeVar("T")

_FACTORS = "/account/factors"

EVE = "eve@example.org"
GRACE = "grace@example.org"
ROOT = "root@example.org"
# Of a mail that was given up.
MAIL_ID = 1_000_000
# Which Eve has allowed something.
CLIENT = {
    "id": "calendar",
    "name": "Calendar",
    "is_confidential": True,
    "redirect_uris": [CALLBACK],
    "scopes": ["account"],
    "grants": ["authorization_code", DEVICE_GRANT],
}
# A role that nobody has.
SPARE_ROLE = "spare"


@dataclass
class Ids:
    """Who is there: Eve, who acts, and Grace, with what belongs to them."""

    eve: int
    grace: int
    eve_session: str = ""
    eve_key: str = ""
    eve_app: str = ""
    eve_code: str = ""
    grace_session: str = ""
    grace_key: str = ""


@dataclass(frozen=True)
class Action:
    """A request that Eve makes. `path` and `body` may name the members of Ids."""

    method: str
    route: str
    body: dict[str, Any] = field(default_factory=dict)
    by_key: bool = False

    def path(self, ids: Ids) -> str:
        of_grace = self.is_of_admin or "users/" in self.route
        names = {
            "user_id": ids.grace,
            "session_id:uuid": ids.grace_session,
            "session_id": ids.eve_session,
            "factor_id": ids.eve_app,
            "api_key_id": ids.grace_key if of_grace else ids.eve_key,
            "name": SPARE_ROLE,
        }
        path = self.route.replace("{mail_id}", str(MAIL_ID))
        path = path.replace("{client_id}", str(CLIENT["id"]))
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", str(value))
        return path

    @property
    def is_of_admin(self) -> bool:
        return self.route.startswith("/admin")

    def fields(self, ids: Ids) -> dict[str, Any]:
        return {
            name: value.format(ids=ids) if isinstance(value, str) else value
            for name, value in self.body.items()
        }

    def __str__(self) -> str:
        named = "+".join(self.body) + (" by key" if self.by_key else "")
        return f"{self.method} {self.route} {named}".strip()


PASSWORDS = {"current_password": PASSWORD, "new_password": "another battery staple"}
OF_ADMINISTRATORS = [
    Action("PATCH", "/admin/users/{user_id}", {"roles": ["moderator"]}),
    Action("PATCH", "/admin/users/{user_id}", {"is_active": False}),
    Action("DELETE", "/admin/users/{user_id}/sessions"),
    Action("DELETE", "/admin/sessions/{session_id:uuid}"),
    Action("POST", "/admin/sessions/revoke", {"ids": ["*"]}),
    Action("DELETE", "/admin/api-keys/{api_key_id}"),
    Action("DELETE", "/admin/users/{user_id}/factors"),
    Action("PATCH", "/admin/users/{user_id}", {"name": "Mallory"}),
    Action("POST", "/admin/users", {"email": "mallory@example.org", "name": "Mallory"}),
    Action("POST", "/admin/users/{user_id}/reset"),
    Action("DELETE", "/admin/users/{user_id}"),
    Action("POST", "/admin/clients", {"name": "Another", "redirect_uris": [CALLBACK]}),
    Action("PATCH", "/admin/clients/{client_id}", {"name": "Another"}),
    Action("POST", "/admin/clients/{client_id}/secret"),
    Action("DELETE", "/admin/clients/{client_id}"),
    Action("POST", "/admin/users/{user_id}/api-keys", {"name": "Another"}),
    Action("POST", "/admin/roles", {"name": "mallory"}),
    Action("PATCH", "/admin/roles/{name}", {"scopes": "admin"}),
    Action("DELETE", "/admin/roles/{name}"),
]
BY_API_KEY = [Action(a.method, a.route, a.body, by_key=True) for a in OF_ADMINISTRATORS]
OF_USERS = [
    Action("PATCH", "/users/me", {"name": "Mallory"}),
    Action("PATCH", "/users/me", {"username": "mallory"}),
    Action("PATCH", "/users/me", {"email": "m@example.org", "current_password": PASSWORD}),
    Action("PUT", "/users/me/password", PASSWORDS),
    Action("DELETE", "/users/me"),
    Action("POST", "/sessions/confirm", {"password": PASSWORD}),
    Action("POST", "/sessions/confirm/options"),
    Action("POST", "/passkeys/options"),
    Action("POST", "/passkeys", {"name": "Another"}),
    Action("PATCH", "/passkeys/{passkey_id}", {"name": "Mine"}),
    Action("DELETE", "/passkeys/{passkey_id}"),
    Action("PATCH", "/users/me", {"email": "m@example.org"}),
    Action("POST", "/email/verification"),
    Action("DELETE", "/sessions"),
    Action("DELETE", "/sessions/{session_id}"),
    Action("POST", "/api-keys", {"name": "Another"}),
    Action("DELETE", "/api-keys/{api_key_id}"),
    Action("POST", "/api-keys/{api_key_id}/rotate"),
    Action("POST", "/factors/totp", {"name": "Another"}),
    Action("POST", "/factors/totp/confirm", {"code": "{ids.eve_code}"}),
    Action("DELETE", "/factors/totp/{factor_id}"),
    Action("POST", "/factors/recovery-codes"),
    Action("DELETE", "/users/me/applications/{client_id}"),
]
REGISTRATION = {
    "name": "Another",
    "redirect_uris": CALLBACK,
    "scopes": "account",
    "grant": ["authorization_code"],
}
OF_KEYS = [Action("POST", "/api-keys/current/rotate", by_key=True)]
ON_PAGES_OF_ADMINISTRATORS = [
    Action("POST", "/console/users/{user_id}/roles", {"role": ["moderator"]}),
    Action("POST", "/console/users/{user_id}/reset"),
    Action("POST", "/console/outbox/{mail_id}/retry"),
    Action("POST", "/console/users/{user_id}/factors/remove"),
    Action("POST", "/console/users/{user_id}/disable"),
    Action("POST", "/console/users/{user_id}/enable"),
    Action("POST", "/console/users/{user_id}/sessions/end", {"only": "{ids.grace_session}"}),
    Action("POST", "/console/users/{user_id}/sessions/end-all"),
    Action("POST", "/console/users/{user_id}/api-keys/{api_key_id}/revoke"),
    Action("POST", "/console/sessions/end", {"only": "{ids.grace_session}"}),
    Action("POST", "/console/sessions/end-everybody"),
    Action("POST", "/console/users/{user_id}/names", {"email": "m@example.org", "name": "M"}),
    Action("POST", "/console/new-user", {"email": "m@example.org", "name": "M"}),
    Action("POST", "/console/users/{user_id}/delete"),
    Action("POST", "/console/clients/new", REGISTRATION),
    Action("POST", "/console/clients/{client_id}/change", REGISTRATION),
    Action("POST", "/console/clients/{client_id}/disable"),
    Action("POST", "/console/clients/{client_id}/enable"),
    Action("POST", "/console/clients/{client_id}/rotate"),
    Action("POST", "/console/clients/{client_id}/delete"),
    Action("POST", "/console/roles/new", {"name": "mallory"}),
    Action("POST", "/console/roles/{name}/change", {"scopes": "admin"}),
    Action("POST", "/console/roles/{name}/delete"),
    Action("POST", "/console/users/{user_id}/api-keys/new", {"name": "Another", "days": "30"}),
]
PAGE_PASSWORDS = {**PASSWORDS, "repeated_password": PASSWORDS["new_password"]}
ON_PAGES = [
    Action("POST", "/account/sessions/end", {"only": "{ids.eve_session}"}),
    Action("POST", "/account/sessions/end-others"),
    Action("POST", "/account/password", PAGE_PASSWORDS),
    Action("POST", "/account/profile", {"name": "Mallory", "username": "mallory"}),
    Action("POST", "/account/email", {"email": "m@example.org", "current_password": PASSWORD}),
    Action("POST", "/account/email/verification"),
    Action("POST", "/account/factors/passkeys/begin"),
    Action("POST", "/account/factors/passkeys/new", {"name": "Another"}),
    Action("POST", "/account/factors/passkeys/{passkey_id}/rename", {"name": "Mine"}),
    Action("POST", "/account/factors/passkeys/{passkey_id}/remove"),
    Action("POST", "/account/factors/apps/begin"),
    Action("POST", "/account/factors/apps/confirm"),
    Action("POST", "/account/factors/apps/{app_id}/remove"),
    Action("POST", "/account/factors/recovery-codes"),
    Action("POST", "/account/api-keys/new", {"name": "Another", "days": "30"}),
    Action("POST", "/account/api-keys/{api_key_id}/rotate"),
    Action("POST", "/account/api-keys/{api_key_id}/revoke"),
    Action("POST", "/account/applications/{client_id}/remove"),
    Action("POST", "/authorize/decision", {"decision": "allow"}),
    Action("POST", "/device/decision", {"decision": "allow"}),
]
PAGES = ("/console", "/account", "/authorize", "/device")
EVERY_ACTION = [
    *(OF_ADMINISTRATORS + BY_API_KEY + OF_USERS + OF_KEYS),
    *(ON_PAGES_OF_ADMINISTRATORS + ON_PAGES),
]

# The documented statements, and what takes only the role.
OF_THE_USER = {
    "disabled": "UPDATE users SET is_active = false WHERE id = {id}",
    "deleted": "DELETE FROM users WHERE id = {id}",
}
OF_THE_SESSION = {
    "epoch raised": "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = {id}",
    "revoked": "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = {id}",
    "sessions deleted": "DELETE FROM sessions WHERE user_id = {id}",
    "tokens deleted": "DELETE FROM access_tokens WHERE user_id = {id}",
    # Tokens of the API do not work in the console, nor those of the console in the API.
    "kind changed": (
        "UPDATE sessions SET kind = CASE kind WHEN 'api' THEN 'console' ELSE 'api' END"
        " WHERE user_id = {id}"
    ),
    "tokens narrowed": "UPDATE access_tokens SET scopes = 'introspect' WHERE user_id = {id}",
}
OF_THE_KEY = {
    "key revoked": "UPDATE api_keys SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = {id}",
    "key deleted": "DELETE FROM api_keys WHERE user_id = {id}",
    "key narrowed": "UPDATE api_keys SET scopes = 'introspect' WHERE user_id = {id}",
}
OF_THE_ROLE = {
    "demoted": "DELETE FROM user_roles WHERE user_id = {id}",
    "role emptied": "UPDATE roles SET scopes = '' WHERE name = 'admin'",
}


# All actions ask again by the same code. So one of each kind is tried with every loss, and each of
# the others with one of them, in turn.
WITH_EVERY_LOSS = [
    *(OF_ADMINISTRATORS[0], BY_API_KEY[0], OF_USERS[0]),
    *(ON_PAGES_OF_ADMINISTRATORS[0], ON_PAGES[0]),
]


def losses(action: Action) -> dict[str, str]:
    """The ways to take from Eve what the action needs, by SQL, that are tried with this action."""
    of_credential = OF_THE_KEY if action.by_key else OF_THE_SESSION
    is_of_admin = action in OF_ADMINISTRATORS + BY_API_KEY + ON_PAGES_OF_ADMINISTRATORS
    return in_turn(action, {**OF_THE_USER, **of_credential, **(OF_THE_ROLE if is_of_admin else {})})


def in_turn(action: Action, every: Mapping[str, T]) -> dict[str, T]:
    """All of these for one action of each kind, and one of them for each of the others."""
    if action in WITH_EVERY_LOSS:
        return dict(every)
    name = list(every)[EVERY_ACTION.index(action) % len(every)]
    return {name: every[name]}


# What an action does with an OAuth client, beside those that change one.
_OF_CLIENTS = ("application", "authorize", "device")


def _names(action: Action | None, *words: str) -> bool:
    return action is None or any(word in str(action) for word in words)


class Stage:
    """An application with an administrator beside Eve and Grace."""

    def __init__(self, app: FastAPI, sql: Sql) -> None:
        self.browser = ConsoleClient(app)
        self.client = Client(self.browser.http)
        self.sql = sql
        self._root: Tokens | None = None
        self.passkey_id = ""
        self.credential: dict[str, Any] = {}
        url = app.state.settings.database.url
        if url.get_backend_name() == "postgresql":
            sql(f"GRANT INSERT, UPDATE, DELETE ON roles TO {url.username}")
            sql(f"GRANT USAGE ON SEQUENCE roles_id_seq TO {url.username}")
        self.form: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    def begin(self, action: Action | None = None) -> Ids:
        """Make everybody anew. Eve is an administrator, signed in to the API.

        Of keys, apps and clients only those are made that the action names, if there is one.
        """
        self.form, self.ids = {}, {}
        self.browser.http.cookies.clear()
        self.sql("UPDATE roles SET scopes = 'admin introspect moderate' WHERE name = 'admin'")
        self.sql("DELETE FROM roles WHERE id > 3")
        self.sql(f"INSERT INTO roles (name, description, scopes) VALUES ('{SPARE_ROLE}', '', '')")
        # The rows of the throttle would reject the many who register here.
        for table in ("throttle_counters", "released_names", "outbox", "users", "oauth_clients"):
            self.sql(f"DELETE FROM {table}")
        self.sql(
            "INSERT INTO outbox (id, kind, address, locale, failed_at, error_code) VALUES"
            f" ({MAIL_ID}, 'new_login', 'x@example.org', 'en', '2026-01-01 00:00:00', 'timeout')"
        )
        _, eve, grace = (insert_user(self.sql, email) for email in (ROOT, EVE, GRACE))
        self.sql(
            "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
            f" WHERE r.name = 'user' OR r.name = 'admin' AND u.id <> {grace}"
        )
        self._root = None
        self.eve, ids = self.client.log_in(EVE), Ids(eve=eve, grace=grace)
        if _names(action, "session"):
            ids.eve_session = self.current(self.client.log_in(EVE))
            ids.grace_session = self.current(self.client.log_in(GRACE))
        if _names(action, "key"):
            scopes = ["admin", "introspect", "moderate", "rotate"]
            self.key = self.client.create_api_key(self.eve, scopes=scopes)
            ids.eve_key = self.key["id"]
            ids.grace_key = self.client.create_api_key(self.client.log_in(GRACE))["id"]
        if _names(action, "factor"):
            app = factors.begin(self.client, self.eve, name="App").json()
            ids.eve_app = app["id"]
            ids.eve_code = factors.App(app["id"], app["secret"], []).code()
        if _names(action, "client", *_OF_CLIENTS):
            self.add_client()
        return ids

    @property
    def root(self) -> Tokens:
        """The session of another administrator than Eve."""
        self._root = self._root or self.client.log_in(ROOT)
        return self._root

    def add_client(self) -> None:
        """Register a client that Eve has allowed something."""
        post = self.client.http.post
        made = post("/admin/clients", json=CLIENT, headers=self.root.headers)
        assert made.status_code == 201, made.text
        self.secret = made.json()["client_secret"]
        self.sql(
            "INSERT INTO consents (user_id, client_id, scopes, granted_at)"
            f" VALUES ({user_id(self.sql, EVE)}, '{CLIENT['id']}', 'admin', CURRENT_TIMESTAMP)"
        )

    def current(self, tokens: Tokens) -> str:
        found = self.client.sessions(tokens)
        return next(str(one["id"]) for one in found if one["current"])

    def prepare(self, action: Action) -> None:
        """Sign Eve in to the pages, or give or take what else the action needs."""
        if action.route == "/factors/recovery-codes":
            self.sql("UPDATE totp_factors SET confirmed_at = created_at")
        if "/users/{user_id}/api-keys" in action.route:
            self.sql(f"UPDATE users SET hashed_password = '{NO_PASSWORD}' WHERE email = '{GRACE}'")
        if action.route.startswith("/passkeys"):
            self.prepare_passkeys(action.route)
        if not action.route.startswith(PAGES):
            return
        assert self.browser.sign_in(EVE).status_code == 200
        self.browser.open("/account")
        if _names(action, *_OF_CLIENTS):
            application = Application(self.browser, str(CLIENT["id"]), self.secret)
            self.device = application.post("/device_authorization").json()
            if "authorize" in action.route:
                self.browser.open(application.address())
        if action.route.startswith(_FACTORS):
            self.prepare_factors(action.route.removeprefix(_FACTORS))

    def prepare_factors(self, deed: str) -> None:
        """Give Eve what the page changes, and leave the page open."""
        submit = self.browser.submit
        if deed == "/apps/confirm":
            secret = re.search(r">([A-Z2-7]{32})<", submit(f"{_FACTORS}/apps/begin").text)
            assert secret
            self.form = {"code": pyotp.TOTP(secret[1]).now()}
        elif deed == "/apps/{app_id}/remove":
            self.prepare_factors("/apps/confirm")
            submit(f"{_FACTORS}/apps/confirm", **self.form)
        elif deed not in {"/apps/begin", "/passkeys/begin"}:
            found = re.search(r'data-options="([^"]+)"', submit(f"{_FACTORS}/passkeys/begin").text)
            assert found
            made = Passkey.synced().register(json.loads(html.unescape(found[1])))
            self.form = {"passkey": json.dumps(made)}
            if deed != "/passkeys/new":
                submit(f"{_FACTORS}/passkeys/new", name="Phone", **self.form)
        listed = self.browser.open(_FACTORS).text
        self.ids = dict(re.findall(r"/factors/(passkey|app)s/([0-9a-f-]{36})/remove", listed))

    def prepare_passkeys(self, route: str) -> None:
        """Give Eve a passkey to change, or one that is about to be added."""
        made = Passkey.synced().register(self._send("/passkeys/options").json())
        if route == "/passkeys":
            self.credential = made
        elif "{passkey_id}" in route:
            added = self._send("/passkeys", {"name": "Phone", "credential": made}).json()
            self.passkey_id = added["id"]

    def _send(self, path: str, body: dict[str, Any] | None = None) -> Response:
        return self.client.http.post(path, headers=self.eve.headers, json=body)

    def act(self, action: Action, ids: Ids) -> Response:
        path, fields = action.path(ids), action.fields(ids)
        passkey_id = self.ids.get("passkey", self.passkey_id)
        path = path.replace("{passkey_id}", passkey_id).replace("{app_id}", self.ids.get("app", ""))
        if action.route == "/passkeys":
            fields["credential"] = self.credential
        if action.route.startswith(PAGES):
            form = {"csrf_token": self.browser.form_token, **fields, **self.form}
            if action.route == "/authorize/decision":
                form["transaction"] = transaction_of(self.browser.page)
            if action.route == "/device/decision":
                form["user_code"] = self.device["user_code"]
            return self.client.http.post(path, data=form, follow_redirects=False)
        headers = {"X-API-Key": self.key["key"]} if action.by_key else self.eve.headers
        body = fields if action.method in {"POST", "PATCH", "PUT"} else None
        return self.client.http.request(action.method, path, headers=headers, json=body)

    def rows(self) -> dict[str, Any]:
        """Whatever an action could change."""
        return {
            "users": self.sql(
                "SELECT id, email, username, name, hashed_password, is_active, session_epoch,"
                " pending_email, verified_email"
                " FROM users ORDER BY id"
            ),
            "outbox": self.sql("SELECT id, kind, failed_at FROM outbox ORDER BY id"),
            "roles": self.sql("SELECT name, description, scopes FROM roles ORDER BY name"),
            "user_roles": self.sql("SELECT user_id, role_id FROM user_roles ORDER BY 1, 2"),
            "sessions": self.sql(
                "SELECT id, revoked_at, epoch, confirmed_at FROM sessions ORDER BY id"
            ),
            "totp_factors": self.sql(
                "SELECT id, confirmed_at, last_step FROM totp_factors ORDER BY id"
            ),
            "recovery_codes": self.sql("SELECT count(*) FROM recovery_codes"),
            "passkeys": self.sql("SELECT id, name FROM passkeys ORDER BY id"),
            "challenges": self.sql("SELECT kind FROM challenges ORDER BY token_digest"),
            "oauth_clients": self.sql("SELECT id, name, secret_digest FROM oauth_clients"),
            "consents": self.sql("SELECT user_id, client_id, scopes FROM consents"),
            "codes": self.sql("SELECT id FROM authorization_codes"),
            "device_codes": self.sql("SELECT id, approved_at, denied_at FROM device_codes"),
            "api_keys": self.sql(
                "SELECT id, revoked_at, expires_at, replaced_at FROM api_keys ORDER BY id"
            ),
        }
