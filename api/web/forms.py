"""Reads forms and provides them to pages once their CSRF token has been checked."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Depends, Request

from api.dependencies import ServiceDep, charge
from api.request.forms import InvalidForm, read_fields
from api.web import csrf, proofs
from api.web.signed_in_user import SignedInUserDep, signed_in_actor_of
from authentication.factors import confirmation
from authentication.factors.confirmation import Confirmation

CONFIRMATION = "confirmation_"
"""What the fields begin with by which a user confirms who they are."""

_MAX_FIELDS = 500


class Form:
    """The fields of a form as pairs of name and value, in their order. Names may be repeated."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def text(self, name: str) -> str:
        """The first value of that name, or an empty string."""
        return next((value for field, value in self.fields if field == name), "")

    def texts(self, name: str) -> list[str]:
        """All values of that name."""
        return [value for field, value in self.fields if field == name]

    def ids(self, name: str) -> list[UUID]:
        """All values of that name as identifiers. Raises InvalidForm."""
        try:
            return [UUID(value) for value in self.texts(name)]
        except ValueError:
            raise InvalidForm("An identifier is malformed.") from None

    def selected_ids(self) -> list[UUID]:
        """The row of a table whose button was pressed, or else those whose boxes are ticked."""
        return self.ids("only") or self.ids("session")


class FormToConfirm(NamedTuple):
    """A form that may have to be sent again with a proof. `action` says what it does."""

    form: Form
    action: str


async def read(request: Request) -> Form:
    """The form as it was sent, before its CSRF token is checked. Raises InvalidForm."""
    return Form(await read_fields(request, max_fields=_MAX_FIELDS))


# For forms that something else than a session entitles to, such as the link in a mail.
UncheckedForm = Annotated[Form, Depends(read)]


async def get_form(request: Request, user: SignedInUserDep) -> Form:
    """A form that a page of this session has sent. Raises CsrfCheckFailed, InvalidForm."""
    form = await read(request)
    csrf.check(request, user.token, form.text(csrf.FIELD))
    return form


FormDep = Annotated[Form, Depends(get_form)]


def confirmed(action: str) -> Any:
    """A form for what takes a recent proof of who the user is. `action` says what it does.

    If the action then demands the proof, or it is wrong, a page sends the same form again with the
    password, or the second factor of a user who has one, in it.
    """
    return Depends(_confirming(action))


def _confirming(action: str) -> Callable[..., Coroutine[Any, Any, Form]]:
    async def get_confirmed_form(
        request: Request, user: SignedInUserDep, form: FormDep, service: ServiceDep
    ) -> Form:
        request.state.form_to_confirm = FormToConfirm(form, action)
        password, proof = form.text(f"{CONFIRMATION}password"), proofs.read(form.text, CONFIRMATION)
        if password or proof is not None:
            # Before the form itself is counted, which must not come before its proof.
            charge(request, user.identity, credential_only=True)
            actor = signed_in_actor_of(request, user)
            await confirmation.confirm(service, actor, Confirmation(password, proof))
        return form

    return get_confirmed_form
