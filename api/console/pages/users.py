"""Users: found by a few letters, each with a page for all that an administrator does to them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.orm import Session

from api.console import parameters
from api.console.forms import Form, FormDep, confirmed
from api.console.pages.events import users_in
from api.console.pages.sessions import selected
from api.console.rendering import page, redirect
from api.console.visitors import AdministratorDep, ConsoleOriginDep
from api.dependencies import SessionDep
from authentication import administration, api_keys, audit, roles
from authentication.administration import AuditFilter, SessionFilter, UserChange, UserFilter
from authentication.paging import Page
from authentication.sessions import Order
from database.models import AuditEvent

router = APIRouter(prefix="/users")

PAGE = 25
SESSIONS_SHOWN = 25
EVENTS_SHOWN = 10

UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]
_STATES = {"active": True, "disabled": False}


@router.get("")
def list_users(request: Request, admin: AdministratorDep, session: SessionDep) -> Response:
    """Newest first. What was searched for is in the address."""
    query = {name: parameters.text(request, name) for name in ("q", "role", "state")}
    wanted = UserFilter(
        text=query["q"], role=query["role"], active=_STATES.get(query["state"] or "")
    )
    cursor = parameters.text(request, "cursor")
    found = administration.list_users(session, wanted, limit=PAGE, cursor=cursor)
    return page(
        request,
        "users.html",
        found=found,
        live=administration.count_sessions(session, [user.id for user in found.items]),
        roles=roles.list_all(session),
        query=query,
        is_filtered=any(query.values()),
        is_first=cursor is None,
    )


@router.get("/{user_id}")
def show_user(
    request: Request, admin: AdministratorDep, session: SessionDep, user_id: UserId
) -> Response:
    """All about one user at a glance."""
    user = administration.get_user(session, user_id)
    events = _latest_events(session, user_id)
    return page(
        request,
        "user.html",
        user=user,
        roles=roles.list_all(session),
        current=admin.identity.session_id,
        found=administration.list_sessions(
            session,
            SessionFilter(user_id=user_id, order=Order.USED),
            limit=SESSIONS_SHOWN,
            cursor=parameters.text(request, "cursor"),
        ),
        live=administration.count_sessions(session, [user_id]).get(user_id, 0),
        keys=[key for key, _ in api_keys.list_everywhere(session, user_id=user_id)],
        events=events,
        names=administration.name_users(session, users_in(events.items)),
    )


def _latest_events(session: Session, user_id: int) -> Page[AuditEvent]:
    wanted = AuditFilter(subject=audit.user(user_id))
    return administration.list_audit_events(session, wanted, limit=EVENTS_SHOWN)


@router.post("/{user_id}/sessions/end")
def end_sessions(
    request: Request,
    admin: AdministratorDep,
    form: FormDep,
    session: SessionDep,
    origin: ConsoleOriginDep,
    user_id: UserId,
) -> Response:
    """End the one whose button was pressed, or those that were selected."""
    ids = selected(form)
    if not ids:
        return redirect(request, f"/users/{user_id}", notice="nothing-selected")
    revoked = administration.end_sessions(session, ids, origin=origin)
    return _back(request, user_id, "sessions-ended", revoked.processed)


@router.post("/{user_id}/sessions/end-all")
def end_all_sessions(
    request: Request,
    admin: AdministratorDep,
    form: FormDep,
    session: SessionDep,
    origin: ConsoleOriginDep,
    user_id: UserId,
) -> Response:
    """A login that is under way ends as well."""
    ended = administration.end_user_sessions(session, user_id, origin=origin)
    return _back(request, user_id, "sessions-ended", ended)


@router.post("/{user_id}/disable")
def disable_user(
    request: Request,
    admin: AdministratorDep,
    form: Annotated[Form, confirmed("disable this account")],
    session: SessionDep,
    origin: ConsoleOriginDep,
    user_id: UserId,
) -> Response:
    """Their sessions end, their API keys are refused."""
    administration.change_user(session, user_id, UserChange(is_active=False), origin=origin)
    return _back(request, user_id, "user-disabled")


@router.post("/{user_id}/enable")
def enable_user(
    request: Request,
    admin: AdministratorDep,
    form: Annotated[Form, confirmed("enable this account")],
    session: SessionDep,
    origin: ConsoleOriginDep,
    user_id: UserId,
) -> Response:
    """Sessions that were ended stay ended."""
    administration.change_user(session, user_id, UserChange(is_active=True), origin=origin)
    return _back(request, user_id, "user-enabled")


@router.post("/{user_id}/roles")
def change_roles(
    request: Request,
    admin: AdministratorDep,
    form: Annotated[Form, confirmed("change what this user may do")],
    session: SessionDep,
    origin: ConsoleOriginDep,
    user_id: UserId,
) -> Response:
    """The user has the roles that are ticked and no others, from the next request on."""
    change = UserChange(roles=form.texts("role"))
    administration.change_user(session, user_id, change, origin=origin)
    return _back(request, user_id, "roles-changed")


def _back(request: Request, user_id: int, notice: str, count: int | None = None) -> Response:
    return redirect(request, f"/users/{user_id}", notice=notice, count=count)
