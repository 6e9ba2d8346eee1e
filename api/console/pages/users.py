"""Users: found by a few letters, each with a page for all that an administrator does to them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy.orm import Session

from api.console import parameters
from api.console.forms import Form, FormDep, confirmed
from api.console.pages.events import users_in
from api.console.pages.sessions import selected
from api.console.rendering import page, redirect
from api.console.visitors import AdministratorDep, ConsoleOriginDep, get_administrator
from api.dependencies import SessionDep
from authentication import audit
from authentication.accounts import roles
from authentication.administration import operations
from authentication.administration.operations import (
    AuditFilter,
    SessionFilter,
    UserChange,
    UserFilter,
)
from authentication.administration.paging import Page
from authentication.credentials import api_keys
from authentication.credentials.sessions import Order
from database.models import AuditEvent

router = APIRouter(prefix="/users", dependencies=[Depends(get_administrator)])

PAGE = 25
SESSIONS_SHOWN = 25
EVENTS_SHOWN = 10

UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]
_STATES = {"active": True, "disabled": False}


@router.get("")
def list_users(request: Request, db: SessionDep) -> Response:
    """Newest first. What was searched for is in the address."""
    query = {name: parameters.text(request, name) for name in ("q", "role", "state")}
    wanted = UserFilter(
        text=query["q"], role=query["role"], active=_STATES.get(query["state"] or "")
    )
    cursor = parameters.text(request, "cursor")
    found = operations.list_users(db, wanted, limit=PAGE, cursor=cursor)
    return page(
        request,
        "users.html",
        found=found,
        live=operations.count_sessions(db, [user.id for user in found.items]),
        roles=roles.list_all(db),
        query=query,
        is_filtered=any(query.values()),
        is_first=cursor is None,
    )


@router.get("/{user_id}")
def show_user(
    request: Request, admin: AdministratorDep, db: SessionDep, user_id: UserId
) -> Response:
    """All about one user at a glance."""
    user = operations.get_user(db, user_id)
    events = _latest_events(db, user_id)
    return page(
        request,
        "user.html",
        user=user,
        roles=roles.list_all(db),
        current=admin.identity.session_id,
        found=operations.list_sessions(
            db,
            SessionFilter(user_id=user_id, order=Order.USED),
            limit=SESSIONS_SHOWN,
            cursor=parameters.text(request, "cursor"),
        ),
        live=operations.count_sessions(db, [user_id]).get(user_id, 0),
        keys=[key for key, _ in api_keys.list_everywhere(db, user_id=user_id)],
        events=events,
        names=operations.name_users(db, users_in(events.items)),
    )


def _latest_events(db: Session, user_id: int) -> Page[AuditEvent]:
    wanted = AuditFilter(subject=audit.user(user_id))
    return operations.list_audit_events(db, wanted, limit=EVENTS_SHOWN)


class Deed:
    """What an administrator does to a user by a form, and the way back to that user's page."""

    def __init__(self, request: Request, db: SessionDep, origin: ConsoleOriginDep) -> None:
        self.request = request
        self.session = db
        self.origin = origin

    def change(self, user_id: int, change: UserChange, notice: str) -> Response:
        """Change the account."""
        operations.change_user(self.session, user_id, change, origin=self.origin)
        return self.back(user_id, notice)

    def back(self, user_id: int, notice: str, count: int | None = None) -> Response:
        """To the user's page, which says what was done."""
        return redirect(self.request, f"/users/{user_id}", notice=notice, count=count)


# Behind the form in each signature: while a password is checked, no transaction is open.
DeedDep = Annotated[Deed, Depends()]


@router.post("/{user_id}/sessions/end")
def end_sessions(form: FormDep, deed: DeedDep, user_id: UserId) -> Response:
    """End the one whose button was pressed, or those that were selected."""
    ids = selected(form)
    if not ids:
        return deed.back(user_id, "nothing-selected")
    revoked = operations.end_sessions(deed.session, ids, origin=deed.origin)
    return deed.back(user_id, "sessions-ended", revoked.processed)


@router.post("/{user_id}/sessions/end-all")
def end_all_sessions(form: FormDep, deed: DeedDep, user_id: UserId) -> Response:
    """A login that is under way ends as well."""
    ended = operations.end_user_sessions(deed.session, user_id, origin=deed.origin)
    return deed.back(user_id, "sessions-ended", ended)


@router.post("/{user_id}/disable")
def disable_user(
    form: Annotated[Form, confirmed("disable this account")], deed: DeedDep, user_id: UserId
) -> Response:
    """Their sessions end, their API keys are refused."""
    return deed.change(user_id, UserChange(is_active=False), "user-disabled")


@router.post("/{user_id}/enable")
def enable_user(
    form: Annotated[Form, confirmed("enable this account")], deed: DeedDep, user_id: UserId
) -> Response:
    """Sessions that were ended stay ended."""
    return deed.change(user_id, UserChange(is_active=True), "user-enabled")


@router.post("/{user_id}/roles")
def change_roles(
    form: Annotated[Form, confirmed("change what this user may do")],
    deed: DeedDep,
    user_id: UserId,
) -> Response:
    """The user has the roles that are ticked and no others, from the next request on."""
    return deed.change(user_id, UserChange(roles=form.texts("role")), "roles-changed")
