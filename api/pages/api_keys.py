"""Pages on which users create, rotate and revoke their own API keys."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.dependencies import ServiceDep, SessionDep
from api.web import new_api_keys
from api.web.forms import Form, FormDep, confirmed
from api.web.messages import N_
from api.web.new_api_keys import Place
from api.web.rendering import redirect
from api.web.signed_in_user import SignedInActor, SignedInRevoker, SignedInUserDep
from authentication.credentials import api_keys
from authentication.errors import ApiKeyLimitReached, InvalidField, InvalidScope

router = APIRouter()

_ACCOUNT = "/account"
_PLACE = Place(action="/account/api-keys/new", back=_ACCOUNT)


@router.get("/account/api-keys/new")
async def show_form(request: Request, user: SignedInUserDep) -> Response:
    """The form for the key's name, scopes and lifetime."""
    return new_api_keys.show_form(request, _PLACE, user.identity.scopes, Form([]))


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
        wanted = new_api_keys.read(request, form)
        created = api_keys.create(db, service.settings, actor, wanted)
    except (InvalidScope, InvalidField, ApiKeyLimitReached) as error:
        return new_api_keys.show_form(request, _PLACE, actor.identity.scopes, form, error)
    return new_api_keys.show_key(request, _ACCOUNT, created)


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
    return new_api_keys.show_key(request, _ACCOUNT, created, overlap=overlap)


@router.post("/account/api-keys/{api_key_id}/revoke")
def revoke(
    request: Request, form: FormDep, actor: SignedInRevoker, db: SessionDep, api_key_id: UUID
) -> Response:
    """Revoke one of the signed-in user's keys."""
    api_keys.revoke_own(db, actor, api_key_id)
    return redirect(request, _ACCOUNT, notice="key-revoked")
