"""Pages on which users allow a device what it asks for (RFC 8628, 3.3)."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request, Response

from api.dependencies import ServiceDep
from api.request.forms import InvalidForm
from api.web import errors, scopes
from api.web.forms import Form, FormDep, confirmed
from api.web.messages import N_
from api.web.rendering import page, translate
from api.web.signed_in_user import SignedInActor, SignedInUserDep
from authentication.clients import devices
from authentication.errors import InvalidScope, InvalidUserCode, TooManyAttempts
from counterfoil.errors import CounterfoilError

router = APIRouter()

PATHS = ("/device", "/device/decision")

_MAX_CODE_LENGTH = 40


@router.get("/device")
async def show_form(request: Request, user: SignedInUserDep) -> Response:
    """The form for the code. A link of the device fills it in, and the user compares."""
    return _form(request, request.query_params.get("user_code", ""))


@router.post("/device")
async def find(
    request: Request, form: FormDep, actor: SignedInActor, service: ServiceDep
) -> Response:
    """What the device asks for, and two buttons."""
    user_code = form.text("user_code")
    try:
        found = await devices.find(service, actor, user_code)
    except (InvalidUserCode, TooManyAttempts) as error:
        return _form(request, user_code, error)
    return page(
        request,
        "device_consent.html",
        user_code=user_code,
        client=found.client,
        scopes=scopes.describe(request, found.scopes),
        device=found,
    )


@router.post("/device/decision")
async def decide(
    request: Request,
    form: Annotated[Form, confirmed(N_("allow this device"))],
    actor: SignedInActor,
    service: ServiceDep,
) -> Response:
    """What the user decided."""
    decisions = {"allow": devices.approve, "deny": devices.deny}
    decision, user_code = form.text("decision"), form.text("user_code")
    if decision not in decisions:
        raise InvalidForm("There is no such decision.")
    try:
        client = await decisions[decision](service, actor, user_code)
    except (InvalidScope, InvalidUserCode, TooManyAttempts) as error:
        return _form(request, user_code, error)
    return page(request, "device_done.html", client=client, is_allowed=decision == "allow")


def _form(request: Request, user_code: str, error: CounterfoilError | None = None) -> Response:
    return page(
        request,
        "device.html",
        status=HTTPStatus.OK if error is None else errors.status_of(error),
        headers={} if error is None else errors.headers_of(error),
        user_code=user_code[:_MAX_CODE_LENGTH],
        error=error and translate(request, error.detail),
    )
