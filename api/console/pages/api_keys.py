"""Pages on which administrators create API keys of service accounts, and revoke keys of anybody."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import ServiceDep, SessionDep
from api.request.parameters import ApiKeyId, UserId
from api.web import new_api_keys
from api.web.forms import Form, FormDep, confirmed
from api.web.new_api_keys import Place
from api.web.rendering import redirect
from api.web.signed_in_user import SignedInAdministrator, get_administrator
from authentication.administration import accounts, operations
from authentication.errors import InvalidField, InvalidScope
from counterfoil.errors import CounterfoilError
from database.models import User

router = APIRouter(prefix="/users/{user_id}/api-keys", dependencies=[Depends(get_administrator)])


@router.get("/new")
def show_form(request: Request, db: SessionDep, user_id: UserId) -> Response:
    """The form for a key of an account to which nobody can log in."""
    return _form(request, accounts.get_service_account(db, user_id), Form([]))


@router.post("/new")
def create(
    request: Request,
    form: Annotated[Form, confirmed("make an API key")],
    actor: SignedInAdministrator,
    service: ServiceDep,
    db: SessionDep,
    user_id: UserId,
) -> Response:
    """Create a key. The page that follows shows it for the only time."""
    try:
        wanted = new_api_keys.read(request, form)
        created = accounts.create_api_key(db, service.settings, actor, user_id, wanted)
    except (InvalidScope, InvalidField) as error:
        return _form(request, accounts.get_service_account(db, user_id), form, error)
    return new_api_keys.show_key(request, _page_of(user_id), created)


@router.post("/{api_key_id}/revoke")
def revoke(
    request: Request,
    form: FormDep,
    actor: SignedInAdministrator,
    db: SessionDep,
    user_id: UserId,
    api_key_id: ApiKeyId,
) -> Response:
    """Revoke one of the user's API keys."""
    operations.revoke_api_key_of_user(db, actor, api_key_id, user_id=user_id)
    return redirect(request, _page_of(user_id), notice="key-revoked")


def _form(
    request: Request, account: User, form: Form, error: CounterfoilError | None = None
) -> Response:
    back = _page_of(account.id)
    place = Place(action=f"{back}/api-keys/new", back=back, of_account=account.email)
    scopes = accounts.scopes_of_service_account(account)
    return new_api_keys.show_form(request, place, scopes, form, error)


def _page_of(user_id: int) -> str:
    return f"/console/users/{user_id}"
