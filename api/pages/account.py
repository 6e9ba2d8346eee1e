"""Each user's own account page: their sessions, API keys, latest events and password."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.dependencies import ServiceDep, SessionDep
from api.pages.fields import field_error
from api.web import cookies, errors, parameters
from api.web.forms import Form, FormDep, confirmed
from api.web.messages import N_
from api.web.rendering import page, redirect
from api.web.signed_in_user import SignedInRevoker, SignedInUserDep
from authentication import audit
from authentication.accounts import email_addresses, password_change
from authentication.administration import operations
from authentication.administration.operations import AuditFilter, SessionFilter
from authentication.clients import consents
from authentication.credentials import api_keys, sessions
from authentication.credentials.sessions import Order
from authentication.errors import InvalidField, WrongPassword
from authentication.factors import listing
from authentication.grants import console as console_grant
from counterfoil.errors import (
    CounterfoilError,
    InsufficientUserAuthentication,
    InvalidToken,
)
from database import limits

router = APIRouter(prefix="/account")

ClientId = Annotated[str, Path(max_length=limits.MAX_CLIENT_ID_LENGTH)]

SESSIONS_SHOWN = 25
EVENTS_SHOWN = 10
KEYS_SHOWN = 25


@router.get("")
def show_account(request: Request, user: SignedInUserDep, db: SessionDep) -> Response:
    """The account page, which is the same for administrators."""
    user_id = user.identity.user_id
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
        live=operations.count_live_sessions(db, [user_id]).get(user_id, 0),
        current=user.identity.session_id,
        keys=api_keys.list_of_user(
            db, user_id, limit=KEYS_SHOWN, cursor=parameters.text(request, "keys")
        ),
        key_count=api_keys.count_of_user(db, user_id),
        applications=consents.list_own(db, user_id),
        email=email_addresses.read_status(db, user_id),
        factors=listing.read(db, user_id),
        events=events,
    )


@router.post("/sessions/end")
def revoke_selected(
    request: Request, actor: SignedInRevoker, form: FormDep, db: SessionDep
) -> Response:
    """Revoke the user's session whose button was pressed, or those that were selected."""
    ids = form.selected_ids()
    if not ids:
        return redirect(request, "/account", notice="nothing-selected")
    revoked = sessions.revoke_several_own(db, actor, ids)
    return redirect(request, "/account", notice="sessions-ended", count=revoked)


@router.post("/sessions/end-others")
def revoke_others(
    request: Request, actor: SignedInRevoker, form: FormDep, db: SessionDep
) -> Response:
    """Revoke all of the user's sessions except this one, and logins in progress."""
    revoked = sessions.revoke_all_own(db, actor, keep_current=True)
    return redirect(request, "/account", notice="sessions-ended", count=revoked)


@router.post("/applications/{client_id}/remove")
def remove_application(
    request: Request, actor: SignedInRevoker, form: FormDep, db: SessionDep, client_id: ClientId
) -> Response:
    """Take back what the user has allowed an application, and revoke its sessions."""
    consents.take_back(db, actor, client_id)
    return redirect(request, "/account", notice="application-removed")


@router.get("/password")
async def show_password(request: Request, user: SignedInUserDep) -> Response:
    """The form that changes the password."""
    return page(request, "password.html", error=None)


@router.post("/password")
async def change_password(
    request: Request,
    form: Annotated[Form, confirmed(N_("change your password"))],
    actor: SignedInRevoker,
    service: ServiceDep,
) -> Response:
    """Change the password and revoke all other sessions. Always needs the current password.

    A user who has a second factor gives it first, and then types the passwords again. The session
    goes on with a new cookie.
    """
    if not form.text("current_password"):
        return page(request, "password.html", error=None)
    try:
        current, new = _passwords(form)
        pair = await password_change.change_password(
            service,
            actor,
            current=current,
            new=new,
            end_api_keys=not form.text("keep_api_keys"),
            settings=console_grant.lifetimes(service.settings),
        )
    except (InvalidToken, InsufficientUserAuthentication):
        raise
    except CounterfoilError as error:
        status, headers = errors.status_of(error), errors.headers_of(error)
        wrong = field_error(request, error, default="current_password")
        return page(request, "password.html", status=status, headers=headers, error=wrong)
    response = redirect(request, "/account", notice="password-changed")
    cookies.write(request, response, cookies.SESSION, pair.access_token)
    return response


def _passwords(form: Form) -> tuple[str, str]:
    current, new = form.text("current_password"), form.text("new_password")
    if not 0 < len(current) <= limits.MAX_PASSWORD_LENGTH:
        raise WrongPassword
    if len(new) > limits.MAX_PASSWORD_LENGTH:
        raise InvalidField("new_password", f"Use at most {limits.MAX_PASSWORD_LENGTH} characters.")
    if new != form.text("repeated_password"):
        raise InvalidField("repeated_password", "The two new passwords are not the same.")
    return current, new
