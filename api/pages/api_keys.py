"""Pages on which users create, rotate and revoke their own API keys."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.dependencies import ServiceDep, SessionDep
from api.web import errors
from api.web.forms import Form, FormDep, confirmed
from api.web.messages import N_
from api.web.rendering import page, redirect, translate
from api.web.signed_in_user import SignedInActor, SignedInRevoker, SignedInUserDep
from authentication import permissions
from authentication.credentials import api_keys
from authentication.credentials.api_keys import KeyRequest, NewKey
from authentication.errors import ApiKeyLimitReached, InvalidField, InvalidScope
from authentication.permissions import Scopes
from counterfoil.errors import CounterfoilError

router = APIRouter()

LIFETIMES = {"30": "30 days", "90": "90 days", "365": N_("one year"), "": N_("No expiry")}
_DEFAULT_LIFETIME = "90"


@router.get("/account/api-keys/new")
async def show_form(request: Request, user: SignedInUserDep) -> Response:
    """The form for the key's name, scopes and lifetime."""
    return _form(request, user.identity.scopes, Form([]))


@router.post("/account/api-keys/new")
def create(
    request: Request,
    form: Annotated[Form, confirmed(N_("make an API key"))],
    actor: SignedInActor,
    service: ServiceDep,
    db: SessionDep,
) -> Response:
    """Create a key. The page that follows shows it for the only time."""
    try:
        wanted = _read(form, service.settings.max_api_key_days)
        created = api_keys.create(db, service.settings, actor, wanted)
    except (InvalidScope, InvalidField, ApiKeyLimitReached) as error:
        return _form(request, actor.identity.scopes, form, error, errors.status_of(error))
    return _show(request, created)


@router.post("/account/api-keys/{api_key_id}/rotate")
def rotate(
    request: Request,
    form: Annotated[Form, confirmed(N_("replace an API key"))],
    actor: SignedInActor,
    service: ServiceDep,
    db: SessionDep,
    api_key_id: UUID,
) -> Response:
    """Replace a key. The old key stays valid for the overlap that the settings define."""
    created = api_keys.rotate(db, service.settings, actor, api_key_id, overlap_seconds=None)
    overlap = timedelta(seconds=service.settings.api_key_overlap_seconds)
    return _show(request, created, overlap)


@router.post("/account/api-keys/{api_key_id}/revoke")
def revoke(
    request: Request, form: FormDep, actor: SignedInRevoker, db: SessionDep, api_key_id: UUID
) -> Response:
    """Revoke one of the signed-in user's keys."""
    api_keys.revoke_own(db, actor, api_key_id)
    return redirect(request, "/account", notice="key-revoked")


def _read(form: Form, longest: int) -> KeyRequest:
    days = form.text("days")
    if days not in _allowed_lifetimes(longest):
        raise InvalidField("days", "Choose one of these.")
    return KeyRequest(
        name=form.text("name").strip(),
        lifetime=timedelta(days=int(days)) if days else None,
        scopes=frozenset(form.texts("scope")),
    )


def _allowed_lifetimes(longest: int) -> dict[str, str]:
    """Those that are not longer than the settings allow, in days."""
    if not longest:
        return LIFETIMES
    allowed = {days: text for days, text in LIFETIMES.items() if days and int(days) <= longest}
    return allowed or {str(longest): f"{longest} days"}


def _form(
    request: Request,
    scopes: Scopes,
    form: Form,
    error: CounterfoilError | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    longest = request.app.state.settings.authentication.max_api_key_days
    lifetimes = _allowed_lifetimes(longest)
    return page(
        request,
        "api_key_new.html",
        status=status,
        error=error and translate(request, error.detail),
        name=form.text("name"),
        scopes=sorted(scopes - {permissions.ACCOUNT}),
        chosen=form.texts("scope"),
        lifetimes={days: translate(request, text) for days, text in lifetimes.items()},
        days=form.text("days") if form.fields else _DEFAULT_LIFETIME,
    )


def _show(request: Request, created: NewKey, overlap: timedelta | None = None) -> Response:
    hours = int(overlap.total_seconds() // 3600) if overlap else 0
    return page(
        request, "api_key_created.html", key=created.text, stored=created.stored, hours=hours
    )
