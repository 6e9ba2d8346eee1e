"""What a form holds, and the dependencies that hand it to a page once it has been checked."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import Depends, Request

from api.console import csrf
from api.console.visitors import ConsoleOriginDep, Visitor, VisitorDep
from api.dependencies import ServiceDep
from authentication.errors import ConfirmationRequired, WrongPassword
from authentication.grants import console as console_grant
from authentication.service import Service
from counterfoil.errors import CounterfoilError

CONFIRMATION = "confirmation_password"

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 500


class UnreadableForm(Exception):
    """What was sent is not a form of ours."""


class PasswordNeeded(Exception):
    """The form is to be sent again with the password. `deed` says in words what for."""

    def __init__(self, form: "Form", deed: str, error: CounterfoilError | None = None) -> None:
        self.form = form
        self.deed = deed
        self.error = error
        super().__init__(deed)


class Form:
    """The fields in their order; a name may come more than once."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs

    def text(self, name: str) -> str:
        """The first value of that name, or nothing."""
        return next((value for field, value in self.pairs if field == name), "")

    def texts(self, name: str) -> list[str]:
        """All values of that name."""
        return [value for field, value in self.pairs if field == name]

    def ids(self, name: str) -> list[UUID]:
        """All values of that name as identifiers. Raises UnreadableForm."""
        try:
            return [UUID(value) for value in self.texts(name)]
        except ValueError:
            raise UnreadableForm from None


async def read(request: Request) -> Form:
    """The form as it was sent, before anything about it is checked. Raises UnreadableForm."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise UnreadableForm
    try:
        body = (await request.body()).decode()
        pairs = parse_qsl(
            body, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise UnreadableForm from None
    # PostgreSQL cannot store NUL.
    if any("\x00" in text for pair in pairs for text in pair):
        raise UnreadableForm
    return Form(pairs)


async def get_form(request: Request, visitor: VisitorDep) -> Form:
    """A form that a page of ours has sent for this visitor. Raises ForeignForm, UnreadableForm."""
    form = await read(request)
    csrf.check(request, visitor.token, form.text(csrf.FIELD))
    return form


FormDep = Annotated[Form, Depends(get_form)]


def confirmed(deed: str) -> Any:
    """A form for something dangerous: only with a password that was given a short while ago.

    Raises PasswordNeeded, whose page sends the same form again with the password in it.
    """
    return Depends(_confirming(deed))


def _confirming(deed: str) -> Callable[..., Coroutine[Any, Any, Form]]:
    async def get_confirmed_form(
        visitor: VisitorDep, form: FormDep, service: ServiceDep, origin: ConsoleOriginDep
    ) -> Form:
        try:
            if password := form.text(CONFIRMATION):
                await console_grant.confirm(service, visitor.identity, password, origin=origin)
            else:
                await _demand(service, visitor)
        except ConfirmationRequired:
            raise PasswordNeeded(form, deed) from None
        except WrongPassword as error:
            raise PasswordNeeded(form, deed, error) from None
        return form

    return get_confirmed_form


async def _demand(service: Service, visitor: Visitor) -> None:
    await service.database.run(
        lambda db: console_grant.demand_confirmation(db, service.settings, visitor.identity)
    )
