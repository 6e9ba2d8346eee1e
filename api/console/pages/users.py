"""Pages on which administrators find users and change an account, its roles and sessions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.orm import Session

from api.console.pages.events import users_in
from api.dependencies import ServiceDep, SessionDep
from api.request.parameters import UserId
from api.web import parameters
from api.web.forms import Form, FormDep, confirmed
from api.web.rendering import page, redirect
from api.web.signed_in_user import AdministratorDep, SignedInAdministrator, get_administrator
from authentication import audit
from authentication.accounts import email_addresses, roles
from authentication.administration import factors, mails, operations
from authentication.administration.operations import (
    AuditFilter,
    SessionFilter,
    UserChange,
    UserFilter,
)
from authentication.administration.paging import Page
from authentication.credentials import api_keys
from authentication.credentials.sessions import Order
from authentication.errors import NotFound
from database.models import AuditEvent
from database.queries.users import Order as UserOrder

router = APIRouter(prefix="/users", dependencies=[Depends(get_administrator)])

PAGE = 25
SESSIONS_SHOWN = 25
EVENTS_SHOWN = 10
KEYS_SHOWN = 25

ORDERS = {
    UserOrder.NEWEST: "Newest first",
    UserOrder.OLDEST: "Oldest first",
    UserOrder.EMAIL: "By e-mail address",
}
_STATES = {"active": True, "disabled": False}


@router.get("")
def list_users(request: Request, db: SessionDep) -> Response:
    """Users, sorted and filtered by query parameters."""
    wanted = read_filter(request)
    query = {name: parameters.text(request, name) for name in ("q", "role", "state")}
    cursor = parameters.text(request, "cursor")
    found = operations.list_users(db, wanted, limit=PAGE, cursor=cursor)
    return page(
        request,
        "users.html",
        found=found,
        live=operations.count_live_sessions(db, [user.id for user in found.items]),
        roles=roles.list_all(db),
        total=operations.count_users(db, wanted),
        query={**query, "order": wanted.order.value},
        is_filtered=any(query.values()),
        is_first=cursor is None,
        orders=[(one.value, name) for one, name in ORDERS.items()],
        trail=parameters.trail(request),
        cursor=cursor,
    )


def read_filter(request: Request) -> UserFilter:
    """What the query parameters of the page ask for."""
    return UserFilter(
        text=parameters.text(request, "q"),
        role=parameters.text(request, "role"),
        active=_STATES.get(parameters.text(request, "state") or ""),
        order=parameters.choice(request, "order", UserOrder.NEWEST),
    )


@router.get("/{user_id}")
def show_user(
    request: Request, admin: AdministratorDep, db: SessionDep, user_id: UserId
) -> Response:
    """One user with sessions, API keys, latest events and roles."""
    user = operations.get_user(db, user_id)
    events = _latest_events(db, user_id)
    return page(
        request,
        "user.html",
        user=user,
        email=email_addresses.status_of(db, user),
        factors=factors.read(db, user_id),
        roles=roles.list_all(db),
        current=admin.identity.session_id,
        found=operations.list_sessions(
            db,
            SessionFilter(user_id=user_id, order=Order.USED),
            limit=SESSIONS_SHOWN,
            cursor=parameters.text(request, "cursor"),
        ),
        live=operations.count_live_sessions(db, [user_id]).get(user_id, 0),
        keys=api_keys.list_of_user(
            db, user_id, limit=KEYS_SHOWN, cursor=parameters.text(request, "keys")
        ),
        key_count=api_keys.count_of_user(db, user_id),
        events=events,
        names=operations.find_emails(db, users_in(events.items)),
    )


def _latest_events(db: Session, user_id: int) -> Page[AuditEvent]:
    wanted = AuditFilter(subject=audit.user(user_id))
    return operations.list_audit_events(db, wanted, limit=EVENTS_SHOWN)


class UserAction:
    """What an administrator's form does to a user, followed by a redirect to the user's page."""

    def __init__(
        self, request: Request, db: SessionDep, actor: SignedInAdministrator, service: ServiceDep
    ) -> None:
        self.request = request
        self.settings = service.settings
        self.db = db
        self.actor = actor

    def change(self, user_id: int, change: UserChange, notice: str) -> Response:
        """Change the account and redirect."""
        operations.change_user(self.db, self.settings, self.actor, user_id, change)
        return self.redirect(user_id, notice)

    def redirect(self, user_id: int, notice: str, count: int | None = None) -> Response:
        """Redirect to the user's page, which shows the notice."""
        return redirect(self.request, f"/console/users/{user_id}", notice=notice, count=count)


# The form comes first in each signature, so that its password is checked before this dependency
# opens a transaction.
UserActionDep = Annotated[UserAction, Depends()]


@router.post("/{user_id}/sessions/end")
def revoke_selected(form: FormDep, action: UserActionDep, user_id: UserId) -> Response:
    """Revoke the session whose button was pressed, or those that were selected."""
    ids = form.selected_ids()
    if not ids:
        return action.redirect(user_id, "nothing-selected")
    revoked = operations.revoke_sessions(action.db, action.actor, ids)
    return action.redirect(user_id, "sessions-ended", revoked.processed)


@router.post("/{user_id}/sessions/end-all")
def revoke_all(form: FormDep, action: UserActionDep, user_id: UserId) -> Response:
    """Revoke all sessions of the user, and logins in progress."""
    revoked = operations.revoke_user_sessions(action.db, action.actor, user_id)
    return action.redirect(user_id, "sessions-ended", revoked)


@router.post("/{user_id}/reset")
async def send_reset(
    request: Request,
    actor: SignedInAdministrator,
    form: FormDep,
    service: ServiceDep,
    user_id: UserId,
) -> Response:
    """Send the user a mail by which they can set a new password."""
    if not service.has_mail:
        raise NotFound
    await mails.send_reset(service, actor, user_id)
    return redirect(request, f"/console/users/{user_id}", notice="reset-sent")


@router.post("/{user_id}/disable")
def disable_user(
    form: Annotated[Form, confirmed("disable this account")], action: UserActionDep, user_id: UserId
) -> Response:
    """Disable the account: its sessions are revoked and its API keys rejected."""
    return action.change(user_id, UserChange(is_active=False), "user-disabled")


@router.post("/{user_id}/enable")
def enable_user(
    form: Annotated[Form, confirmed("enable this account")], action: UserActionDep, user_id: UserId
) -> Response:
    """Enable the account. Sessions that were revoked stay revoked."""
    return action.change(user_id, UserChange(is_active=True), "user-enabled")


@router.post("/{user_id}/factors/remove")
def remove_factors(
    form: Annotated[Form, confirmed("remove all second factors of this user")],
    action: UserActionDep,
    user_id: UserId,
) -> Response:
    """Remove what the user has lost. They sign in by the password alone, until they add another."""
    factors.remove_all(action.db, action.actor, user_id)
    return action.redirect(user_id, "factors-removed")


@router.post("/{user_id}/roles")
def change_roles(
    form: Annotated[Form, confirmed("change what this user may do")],
    action: UserActionDep,
    user_id: UserId,
) -> Response:
    """Give the user exactly the roles that are ticked."""
    return action.change(user_id, UserChange(roles=form.texts("role")), "roles-changed")
