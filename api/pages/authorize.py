"""The authorization endpoint (RFC 6749, 3.1), and the page on which users decide."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import ServiceDep
from api.request.forms import InvalidForm, read_fields
from api.web import arrival, scopes
from api.web.forms import Form, confirmed
from api.web.messages import N_
from api.web.rendering import HEADERS, link, page, redirect
from api.web.signed_in_user import (
    SignedInActor,
    SignedInUser,
    find_signed_in_user,
    signed_in_actor_of,
)
from authentication.clients import authorization
from authentication.clients.authorization import ConsentNeeded, Redirect, SignInNeeded
from authentication.errors import InvalidAuthorization
from authentication.grants import console as console_grant
from database import limits

router = APIRouter()

PATHS = ("/authorize", "/authorize/decision")

_MAX_PARAMETERS = 50

SignedInUserOrNone = Annotated[SignedInUser | None, Depends(find_signed_in_user)]


@router.get("/authorize")
async def authorize(request: Request, user: SignedInUserOrNone, service: ServiceDep) -> Response:
    """Send the browser back with an answer, or have the user sign in or decide first."""
    if arrival.is_from_another_site(request):
        return arrival.reload(request)
    actor = None
    if user is not None:
        await console_grant.keep_alive(service, user.identity)
        request.state.signed_in_user = user
        actor = signed_in_actor_of(request, user)
    outcome = await authorization.begin(
        service, _parameters(request), actor, issuer=request.app.state.settings.api.issuer
    )
    match outcome:
        case Redirect():
            return _answer(request, outcome)
        case SignInNeeded():
            return _sign_in(request, outcome)
        case ConsentNeeded():
            return _ask(request, outcome)


@router.post("/authorize")
async def authorize_by_form(request: Request) -> Response:
    """The same by POST. The browser then comes by GET: it sends no cookie from another site."""
    fields = await read_fields(request, max_fields=_MAX_PARAMETERS)
    headers = {**HEADERS, "Location": f"{link(request, '/authorize')}?{urlencode(fields)}"}
    return Response(status_code=HTTPStatus.SEE_OTHER, headers=headers)


@router.post("/authorize/decision")
async def decide(
    request: Request,
    form: Annotated[Form, confirmed(N_("allow this application"))],
    actor: SignedInActor,
    service: ServiceDep,
) -> Response:
    """What the user decided on the page. Its form names nothing but the page itself."""
    decisions = {"allow": authorization.approve, "deny": authorization.deny}
    decide_by = decisions.get(form.text("decision"))
    if decide_by is None:
        raise InvalidForm("There is no such decision.")
    issuer = request.app.state.settings.api.issuer
    answer = await decide_by(service, actor, form.text("transaction"), issuer=issuer)
    return _answer(request, answer)


def _parameters(request: Request) -> list[tuple[str, str]]:
    """Those of the query. Raises InvalidAuthorization if they cannot be read."""
    try:
        query = request.scope["query_string"].decode("ascii")
        return parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        raise InvalidAuthorization from None


def _answer(request: Request, answer: Redirect) -> Response:
    """A redirect; or, after a form of ours, a page that leads there.

    Chromium applies `form-action` of our policy to the redirects that follow a form.
    """
    if answer.follows_form:
        return page(request, "go_on.html", location=answer.location, client=answer.client)
    headers = {**HEADERS, "Location": answer.location}
    return Response(status_code=HTTPStatus.SEE_OTHER, headers=headers)


def _sign_in(request: Request, needed: SignInNeeded) -> Response:
    hint = (needed.login_hint or "")[: limits.MAX_STORED_EMAIL_LENGTH]
    next_page = f"/authorize?{urlencode(needed.parameters)}"
    again = "1" if needed.is_again else None
    return redirect(request, "/sign-in", next=next_page, username=hint, again=again)


def _ask(request: Request, needed: ConsentNeeded) -> Response:
    return page(
        request,
        "consent.html",
        client=needed.client,
        transaction=needed.transaction,
        scopes=scopes.describe(request, needed.scopes),
        destination=needed.destination,
    )
