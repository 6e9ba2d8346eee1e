"""Pages on which users see, add and remove passkeys, authenticator apps and recovery codes."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import ServiceDep, SessionDep
from api.pages.fields import field_error
from api.web import errors, proofs
from api.web.forms import Form, FormDep, confirmed
from api.web.messages import N_
from api.web.rendering import page, redirect, translate
from api.web.signed_in_user import SignedInActor, SignedInRevoker, SignedInUserDep
from authentication.errors import (
    CredentialKnown,
    InvalidField,
    InvalidPasskeyRegistration,
    WrongCode,
)
from authentication.factors import enrolment as apps
from authentication.factors import listing
from authentication.factors.passkeys import enrolment as passkeys
from authentication.factors.passkeys.options import Options
from authentication.service import Service
from counterfoil.errors import CounterfoilError

router = APIRouter(prefix="/account/factors")

_HOME = "/account/factors"
_ADD_PASSKEY = N_("add a passkey")
_ADD_APP = N_("add an authenticator app")


@router.get("")
def show_factors(
    request: Request, user: SignedInUserDep, service: ServiceDep, db: SessionDep
) -> Response:
    """What sign-ins ask for beside the password."""
    return _show_factors(request, user.identity.user_id, service, db)


@router.post("/passkeys/begin")
def begin_passkey(
    request: Request,
    form: Annotated[Form, confirmed(_ADD_PASSKEY)],
    actor: SignedInActor,
    service: ServiceDep,
    db: SessionDep,
) -> Response:
    """The page on which the browser makes a passkey."""
    return _show_new_passkey(request, passkeys.begin(db, service, actor))


@router.post("/passkeys/new")
async def add_passkey(
    request: Request,
    form: Annotated[Form, confirmed(_ADD_PASSKEY)],
    actor: SignedInActor,
    service: ServiceDep,
) -> Response:
    """Add the passkey. For the first factor, the page that follows shows recovery codes.

    After an error the browser has to make another one: what was to be signed works once.
    """
    registration = proofs.read_registration(form.text("passkey"))
    typed = form.text("name")
    name = typed.strip() or translate(request, N_("Passkey"))
    try:
        added = await passkeys.add(service, actor, name=name, registration=registration)
    except (InvalidField, InvalidPasskeyRegistration, CredentialKnown) as error:
        options = await service.database.run(lambda db: passkeys.begin(db, service, actor))
        return _show_new_passkey(request, options, name=typed, error=error)
    return _added(request, added.recovery_codes)


@router.post("/passkeys/{passkey_id}/rename")
def rename_passkey(
    request: Request,
    form: FormDep,
    actor: SignedInActor,
    service: ServiceDep,
    db: SessionDep,
    passkey_id: UUID,
) -> Response:
    """Give a passkey another name."""
    name = form.text("name")
    try:
        passkeys.rename(db, actor, passkey_id, name)
    except InvalidField as error:
        wrong = _WrongName(passkey_id, name, translate(request, error.detail))
        return _show_factors(request, actor.identity.user_id, service, db, wrong)
    return redirect(request, _HOME, notice="factor-renamed")


@router.post("/passkeys/{passkey_id}/remove")
def remove_passkey(
    request: Request,
    form: Annotated[Form, confirmed(N_("remove a passkey"))],
    actor: SignedInRevoker,
    service: ServiceDep,
    db: SessionDep,
    passkey_id: UUID,
) -> Response:
    """Remove a passkey."""
    passkeys.remove(db, service.settings, actor, passkey_id)
    return redirect(request, _HOME, notice="factor-removed")


@router.post("/apps/begin")
def begin_app(
    request: Request,
    form: Annotated[Form, confirmed(_ADD_APP)],
    actor: SignedInActor,
    service: ServiceDep,
    db: SessionDep,
) -> Response:
    """The page with the QR code for an app."""
    app = apps.begin(db, service, actor, name=translate(request, N_("Authenticator app")))
    return page(request, "app_new.html", app=app, name="", error=None)


@router.post("/apps/confirm")
async def confirm_app(
    request: Request, form: FormDep, actor: SignedInRevoker, service: ServiceDep
) -> Response:
    """Take the first code. For the first factor, the page that follows shows recovery codes."""
    name = form.text("name")
    try:
        codes = await apps.confirm(service, actor, form.text("code"), name=name.strip() or None)
    except (InvalidField, WrongCode) as error:
        return page(
            request,
            "app_new.html",
            status=errors.status_of(error),
            app=None,
            name=name,
            error=field_error(request, error, default="code"),
        )
    return _added(request, codes)


@router.post("/apps/{app_id}/remove")
def remove_app(
    request: Request,
    form: Annotated[Form, confirmed(N_("remove an authenticator app"))],
    actor: SignedInRevoker,
    service: ServiceDep,
    db: SessionDep,
    app_id: UUID,
) -> Response:
    """Remove an authenticator app."""
    apps.remove(db, service, actor, app_id)
    return redirect(request, _HOME, notice="factor-removed")


@router.post("/recovery-codes")
def replace_recovery_codes(
    request: Request,
    form: Annotated[Form, confirmed(N_("make new recovery codes"))],
    actor: SignedInActor,
    db: SessionDep,
) -> Response:
    """Make new recovery codes. The page shows them for the only time."""
    return page(request, "recovery_codes.html", codes=apps.replace_recovery_codes(db, actor))


class _WrongName(NamedTuple):
    """What was typed as the new name of a passkey, and what is wrong with it."""

    id: UUID
    name: str
    detail: str


def _show_factors(
    request: Request,
    user_id: int,
    service: Service,
    db: Session,
    renamed: _WrongName | None = None,
) -> Response:
    return page(
        request,
        "factors.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if renamed else HTTPStatus.OK,
        passkeys=passkeys.list_own(db, user_id),
        found=listing.read(db, user_id),
        has_apps=service.sealer.is_on,
        renamed=renamed,
    )


def _show_new_passkey(
    request: Request, options: Options, *, name: str = "", error: CounterfoilError | None = None
) -> Response:
    return page(
        request,
        "passkey_new.html",
        status=HTTPStatus.OK if error is None else errors.status_of(error),
        options=options,
        name=name,
        error=error and translate(request, error.detail),
    )


def _added(request: Request, codes: Sequence[str]) -> Response:
    if codes:
        return page(request, "recovery_codes.html", codes=codes)
    return redirect(request, _HOME, notice="factor-added")
