"""Reads the console's forms and provides them to pages once their CSRF token has been checked."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request

from api.console import csrf
from api.console.signed_in_user import ConsoleOriginDep, SignedInUser, SignedInUserDep
from api.dependencies import ServiceDep
from api.request.forms import InvalidForm, read_fields
from authentication.errors import ConfirmationRequired, WrongPassword
from authentication.grants import console as console_grant
from authentication.service import Service
from counterfoil.errors import CounterfoilError

CONFIRMATION = "confirmation_password"

_MAX_FIELDS = 500


class PasswordRequired(Exception):
    """The form must be sent again with the password. `action` says in words what it does."""

    def __init__(self, form: "Form", action: str, error: CounterfoilError | None = None) -> None:
        self.form = form
        self.action = action
        self.error = error
        super().__init__(action)


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


async def read(request: Request) -> Form:
    """The form as it was sent, before its CSRF token is checked. Raises InvalidForm."""
    return Form(await read_fields(request, max_fields=_MAX_FIELDS))


async def get_form(request: Request, user: SignedInUserDep) -> Form:
    """A form that a page of this session has sent. Raises CsrfCheckFailed, InvalidForm."""
    form = await read(request)
    csrf.check(request, user.token, form.text(csrf.FIELD))
    return form


FormDep = Annotated[Form, Depends(get_form)]


def confirmed(action: str) -> Any:
    """A form for a dangerous action, which needs a password that was entered recently.

    Raises PasswordRequired, whose page sends the same form again with the password in it.
    """
    return Depends(_confirming(action))


def _confirming(action: str) -> Callable[..., Coroutine[Any, Any, Form]]:
    async def get_confirmed_form(
        user: SignedInUserDep, form: FormDep, service: ServiceDep, origin: ConsoleOriginDep
    ) -> Form:
        try:
            if password := form.text(CONFIRMATION):
                await console_grant.confirm(service, user.identity, password, origin=origin)
            else:
                await _require_confirmation(service, user)
        except ConfirmationRequired:
            raise PasswordRequired(form, action) from None
        except WrongPassword as error:
            raise PasswordRequired(form, action, error) from None
        return form

    return get_confirmed_form


async def _require_confirmation(service: Service, user: SignedInUser) -> None:
    await service.database.run(
        lambda db: console_grant.demand_confirmation(db, service.settings, user.identity)
    )
