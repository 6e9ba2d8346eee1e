"""Pages that list the live sessions of all users and revoke them."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from api.dependencies import SessionDep
from api.web import parameters
from api.web.forms import Form, FormDep, confirmed
from api.web.rendering import page, redirect
from api.web.signed_in_user import AdministratorDep, SignedInAdministrator
from authentication.administration import operations
from authentication.administration.operations import SessionFilter
from authentication.credentials.sessions import Order

router = APIRouter(prefix="/sessions")

PAGE = 50
ORDERS = {
    Order.NEWEST: "Newest first",
    Order.OLDEST: "Oldest first",
    Order.USED: "Used last",
    Order.IDLE: "Longest unused",
    Order.ENDING: "Ending soonest",
}

ConfirmedForm = Annotated[Form, confirmed("end the sessions of everybody")]


@router.get("")
def list_sessions(request: Request, admin: AdministratorDep, db: SessionDep) -> Response:
    """Live sessions, sorted and filtered by query parameters, so that a view can be shared."""
    query = {name: parameters.text(request, name) for name in ("q", "client", "ip")}
    wanted = read_filter(request)
    order = wanted.order
    cursor = parameters.text(request, "cursor")
    found = operations.list_sessions(db, wanted, limit=PAGE, cursor=cursor)
    return page(
        request,
        "sessions.html",
        found=found,
        current=admin.identity.session_id,
        query={**query, "order": order.value},
        is_filtered=any(query.values()),
        total=operations.count_sessions(db, wanted),
        is_sorted=found.order is order,
        is_first=cursor is None,
        orders=[(one.value, name) for one, name in ORDERS.items()],
        trail=parameters.trail(request),
        cursor=cursor,
    )


def read_filter(request: Request) -> SessionFilter:
    """What the query parameters of the page ask for."""
    return SessionFilter(
        text=parameters.text(request, "q"),
        client=parameters.text(request, "client"),
        ip=parameters.text(request, "ip"),
        order=parameters.choice(request, "order", Order.NEWEST),
    )


@router.post("/end")
def revoke_selected(
    request: Request, form: FormDep, actor: SignedInAdministrator, db: SessionDep
) -> Response:
    """Revoke the session whose button was pressed, or those that were selected."""
    ids = form.selected_ids()
    if not ids:
        return redirect(request, "/console/sessions", notice="nothing-selected")
    revoked = operations.revoke_sessions(db, actor, ids)
    return redirect(request, "/console/sessions", notice="sessions-ended", count=revoked.processed)


@router.post("/end-everybody")
def revoke_batch(
    request: Request, form: ConfirmedForm, actor: SignedInAdministrator, db: SessionDep
) -> Response:
    """Revoke the sessions of all users except this one, up to REVOKE_BATCH at a time."""
    revoked = operations.revoke_session_batch(db, actor, keep_current=True)
    notice = "more-sessions" if revoked.more else "sessions-ended"
    return redirect(request, "/console/sessions", notice=notice, count=revoked.processed)
