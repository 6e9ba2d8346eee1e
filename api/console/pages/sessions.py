"""Live sessions of all users, and the ways to end them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.console import parameters
from api.console.forms import Form, FormDep, confirmed
from api.console.rendering import page, redirect
from api.console.visitors import AdministratorDep, ConsoleOriginDep
from api.dependencies import SessionDep
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

EverybodyForm = Annotated[Form, confirmed("end the sessions of everybody")]


@router.get("")
def list_sessions(request: Request, admin: AdministratorDep, db: SessionDep) -> Response:
    """Sorted and filtered; the filters are in the address, so that a view can be passed on."""
    query = {name: parameters.text(request, name) for name in ("q", "client", "ip")}
    order = parameters.choice(request, "order", Order.NEWEST)
    wanted = SessionFilter(text=query["q"], client=query["client"], ip=query["ip"], order=order)
    cursor = parameters.text(request, "cursor")
    found = operations.list_sessions(db, wanted, limit=PAGE, cursor=cursor)
    return page(
        request,
        "sessions.html",
        found=found,
        current=admin.identity.session_id,
        query={**query, "order": order.value},
        is_filtered=any(query.values()),
        is_sorted=found.order is order,
        is_first=cursor is None,
        orders=[(one.value, name) for one, name in ORDERS.items()],
    )


@router.post("/end")
def end_sessions(
    request: Request,
    admin: AdministratorDep,
    form: FormDep,
    db: SessionDep,
    origin: ConsoleOriginDep,
) -> Response:
    """End the one whose button was pressed, or those that were selected."""
    ids = selected(form)
    if not ids:
        return redirect(request, "/sessions", notice="nothing-selected")
    revoked = operations.end_sessions(db, ids, origin=origin)
    return redirect(request, "/sessions", notice="sessions-ended", count=revoked.processed)


@router.post("/end-everybody")
def end_everybodys_sessions(
    request: Request,
    admin: AdministratorDep,
    form: EverybodyForm,
    db: SessionDep,
    origin: ConsoleOriginDep,
) -> Response:
    """End all sessions but this one, a bounded number at a time."""
    revoked = operations.end_some_sessions(db, keep=admin.identity.session_id, origin=origin)
    notice = "more-sessions" if revoked.more else "sessions-ended"
    return redirect(request, "/sessions", notice=notice, count=revoked.processed)


def selected(form: Form) -> list[UUID]:
    """The session whose own button was pressed, or else those whose boxes are ticked."""
    return form.ids("only") or form.ids("session")
