"""Everybody's own page: where they are signed in, their API keys, their password."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.console import errors, parameters
from api.console.forms import Form, FormDep
from api.console.pages.sessions import selected
from api.console.rendering import page, redirect
from api.console.visitors import ConsoleOriginDep, Visitor, VisitorDep
from api.dependencies import ServiceDep, SessionDep
from authentication import audit
from authentication.accounts import password_change
from authentication.administration import operations
from authentication.administration.operations import AuditFilter, SessionFilter
from authentication.audit import Origin
from authentication.credentials import api_keys, sessions
from authentication.credentials.sessions import Order
from authentication.errors import InvalidField, NotFound, WrongPassword
from counterfoil.errors import CounterfoilError

router = APIRouter(prefix="/account")

SESSIONS_SHOWN = 25
EVENTS_SHOWN = 10
_LONGEST_PASSWORD = 1024


@router.get("")
def show_account(request: Request, visitor: VisitorDep, db: SessionDep) -> Response:
    """The same for everyone, administrators too."""
    user_id = visitor.identity.user_id
    cursor = parameters.text(request, "cursor")
    logins = operations.list_sessions(
        db,
        SessionFilter(user_id=user_id, order=Order.USED),
        limit=SESSIONS_SHOWN,
        cursor=cursor,
    )
    wanted = AuditFilter(subject=audit.user(user_id))
    events = operations.list_audit_events(db, wanted, limit=EVENTS_SHOWN)
    return page(
        request,
        "account.html",
        found=logins,
        live=operations.count_sessions(db, [user_id]).get(user_id, 0),
        current=visitor.identity.session_id,
        keys=api_keys.list_own(db, visitor.identity),
        events=events,
        # Others who did something are named by their numbers alone.
        names={user_id: visitor.identity.email},
    )


@router.post("/sessions/end")
def end_sessions(
    request: Request,
    visitor: VisitorDep,
    form: FormDep,
    db: SessionDep,
    origin: ConsoleOriginDep,
) -> Response:
    """Sign out that phone."""
    ids = selected(form)
    if not ids:
        return redirect(request, "/account", notice="nothing-selected")
    ended = sum(_end(db, one, visitor, origin) for one in ids)
    return redirect(request, "/account", notice="sessions-ended", count=ended)


@router.post("/sessions/end-others")
def end_other_sessions(
    request: Request,
    visitor: VisitorDep,
    form: FormDep,
    db: SessionDep,
    origin: ConsoleOriginDep,
) -> Response:
    """Sign out everywhere else; a login that is under way ends as well."""
    identity = visitor.identity
    ended = sessions.end_all(
        db, identity.user_id, origin=origin, reason="ended_by_user", keep=identity.session_id
    )
    return redirect(request, "/account", notice="sessions-ended", count=ended)


@router.get("/password")
async def show_password(request: Request, visitor: VisitorDep) -> Response:
    """The form to change it."""
    return page(request, "password.html", error=None)


@router.post("/password")
async def change_password(
    request: Request,
    visitor: VisitorDep,
    form: FormDep,
    service: ServiceDep,
    origin: ConsoleOriginDep,
) -> Response:
    """Needs the current one, however short a while ago it was given; ends all other sessions."""
    try:
        current, new = _passwords(form)
        await password_change.change_password(
            service,
            visitor.identity,
            current=current,
            new=new,
            origin=origin,
            end_api_keys=bool(form.text("end_api_keys")),
        )
    except CounterfoilError as error:
        status, headers = errors.status_of(error), errors.headers_of(error)
        return page(request, "password.html", status=status, headers=headers, error=error)
    return redirect(request, "/account", notice="password-changed")


def _passwords(form: Form) -> tuple[str, str]:
    current, new = form.text("current_password"), form.text("new_password")
    if not 0 < len(current) <= _LONGEST_PASSWORD:
        raise WrongPassword
    if len(new) > _LONGEST_PASSWORD:
        raise InvalidField("new_password", f"Use at most {_LONGEST_PASSWORD} characters.")
    if new != form.text("repeated_password"):
        raise InvalidField("repeated_password", "The two new passwords are not the same.")
    return current, new


def _end(db: Session, session_id: UUID, visitor: Visitor, origin: Origin) -> bool:
    """Whether there was such a session of the visitor's to end."""
    user_id = visitor.identity.user_id
    try:
        sessions.end(db, session_id, user_id=user_id, origin=origin, reason="ended_by_user")
    except NotFound:
        return False
    return True
