"""Pages on which administrators register clients, and change, disable, rotate and delete them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import SessionDep
from api.request.parameters import ClientId
from api.web import errors, parameters
from api.web.forms import Form, confirmed
from api.web.rendering import page, redirect
from api.web.signed_in_user import SignedInAdministrator, get_administrator
from authentication.clients import registration
from authentication.clients.grants import Grant
from authentication.clients.registration import ClientFields, NewSecret
from authentication.errors import ClientExists, InvalidField
from counterfoil.errors import CounterfoilError
from counterfoil.permissions import split_scopes

router = APIRouter(prefix="/clients", dependencies=[Depends(get_administrator)])

PAGE = 50

GRANTS = {
    Grant.AUTHORIZATION_CODE: "on a page, by a code",
    Grant.REFRESH_TOKEN: "by a refresh token",
    Grant.DEVICE_CODE: "on a device, by a code that its user enters",
    Grant.CLIENT_CREDENTIALS: "for its own account",
    Grant.PASSWORD: "by a password",
}
_DEFAULT_GRANTS = [Grant.AUTHORIZATION_CODE, Grant.REFRESH_TOKEN]


@router.get("")
def list_clients(request: Request, db: SessionDep) -> Response:
    """Clients, in the order of their ids."""
    cursor = parameters.text(request, "cursor")
    found = registration.list_clients(db, limit=PAGE, cursor=cursor)
    return page(request, "clients.html", found=found, is_first=cursor is None)


@router.get("/new")
async def show_form(request: Request) -> Response:
    """The form for a new client."""
    return _form(request, Form([("grant", grant) for grant in _DEFAULT_GRANTS]))


@router.post("/new")
def register(
    request: Request,
    form: Annotated[Form, confirmed("register a client")],
    actor: SignedInAdministrator,
    db: SessionDep,
) -> Response:
    """Register a client. The page that follows shows its secret for the only time."""
    actor.hold(db, fresh=True)
    try:
        created = registration.register(
            db,
            _read(form),
            client_id=form.text("client_id").strip() or None,
            is_confidential=bool(form.text("is_confidential")),
            origin=actor.origin,
        )
    except (InvalidField, ClientExists) as error:
        return _form(request, form, error)
    return _show_secret(request, created)


@router.get("/{client_id}")
def show_client(request: Request, db: SessionDep, client_id: ClientId) -> Response:
    """One client, with forms for all that can be done with it."""
    client = registration.get_client(db, client_id)
    fields = [
        ("name", client.name),
        ("redirect_uris", client.redirect_uris.replace(" ", "\n")),
        ("scopes", client.scopes),
        ("account_id", str(client.account_id or "")),
        *(("grant", grant) for grant in client.grants.split(" ")),
    ]
    if client.is_first_party:
        fields.append(("is_first_party", "1"))
    return _form(request, Form(fields), client=client)


@router.post("/{client_id}/change")
def change(
    request: Request,
    form: Annotated[Form, confirmed("change a client")],
    actor: SignedInAdministrator,
    db: SessionDep,
    client_id: ClientId,
) -> Response:
    """Change what is registered."""
    actor.hold(db, fresh=True)
    try:
        registration.change(db, client_id, _read(form), origin=actor.origin)
    except InvalidField as error:
        client = registration.get_client(db, client_id)
        return _form(request, form, error, client=client)
    return redirect(request, f"/console/clients/{client_id}", notice="client-changed")


@router.post("/{client_id}/disable")
def disable(
    request: Request,
    form: Annotated[Form, confirmed("disable a client")],
    actor: SignedInAdministrator,
    db: SessionDep,
    client_id: ClientId,
) -> Response:
    """Give it no more tokens, and end its sessions."""
    actor.hold(db, fresh=True)
    registration.disable(db, client_id, origin=actor.origin)
    return redirect(request, f"/console/clients/{client_id}", notice="client-disabled")


@router.post("/{client_id}/enable")
def enable(
    request: Request,
    form: Annotated[Form, confirmed("enable a client")],
    actor: SignedInAdministrator,
    db: SessionDep,
    client_id: ClientId,
) -> Response:
    """Let it get tokens again."""
    actor.hold(db, fresh=True)
    registration.enable(db, client_id, origin=actor.origin)
    return redirect(request, f"/console/clients/{client_id}", notice="client-enabled")


@router.post("/{client_id}/rotate")
def rotate(
    request: Request,
    form: Annotated[Form, confirmed("make a new secret")],
    actor: SignedInAdministrator,
    db: SessionDep,
    client_id: ClientId,
) -> Response:
    """Make a new secret, which is shown once. The one before works for a day."""
    actor.hold(db, fresh=True)
    return _show_secret(request, registration.rotate_secret(db, client_id, origin=actor.origin))


@router.post("/{client_id}/delete")
def delete(
    request: Request,
    form: Annotated[Form, confirmed("delete a client")],
    actor: SignedInAdministrator,
    db: SessionDep,
    client_id: ClientId,
) -> Response:
    """Delete it with its sessions, codes and consents."""
    actor.hold(db, fresh=True)
    registration.delete(db, client_id, origin=actor.origin)
    return redirect(request, "/console/clients", notice="client-deleted")


def _read(form: Form) -> ClientFields:
    """What a form says. Raises InvalidField."""
    account = form.text("account_id").strip() or "0"
    if not (account.isascii() and account.isdigit() and len(account) < 11):
        raise InvalidField("account_id", "There is no such user.")
    return ClientFields(
        name=form.text("name"),
        redirect_uris=form.text("redirect_uris").split(),
        scopes=sorted(split_scopes(form.text("scopes"))),
        grants=[grant for grant in Grant if grant in form.texts("grant")],
        is_first_party=bool(form.text("is_first_party")),
        account_id=int(account),
    )


def _form(
    request: Request, form: Form, error: CounterfoilError | None = None, **context: Any
) -> Response:
    return page(
        request,
        "client.html",
        status=200 if error is None else errors.status_of(error),
        form=form,
        grants=GRANTS,
        error=error and error.detail,
        **{"client": None, **context},
    )


def _show_secret(request: Request, new: NewSecret) -> Response:
    return page(request, "client_secret.html", client=new.client, secret=new.secret)
