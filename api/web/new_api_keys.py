"""The form for a new API key, and the page that shows the key, of one's own or of another account.

Both are the same on the pages for everybody and in the console.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import NamedTuple

from fastapi import Request, Response

from api.web import errors, scopes
from api.web.forms import Form
from api.web.messages import N_
from api.web.rendering import page, translate
from authentication import permissions
from authentication.credentials.api_keys import KeyRequest, NewKey
from authentication.errors import InvalidField
from authentication.permissions import Scopes
from counterfoil.errors import CounterfoilError

LIFETIMES = {"30": "30 days", "90": "90 days", "365": N_("one year"), "": N_("No expiry")}
_DEFAULT_LIFETIME = "90"


class Place(NamedTuple):
    """Where the form is sent, and the page of the account, to which its pages lead back.

    `of_account` is the address of an account that is not the signed-in user's.
    """

    action: str
    back: str
    of_account: str | None = None


def read(request: Request, form: Form) -> KeyRequest:
    """What the form says. Raises InvalidField."""
    days = form.text("days")
    if days not in _allowed_lifetimes(request):
        raise InvalidField("days", "Choose one of these.")
    return KeyRequest(
        name=form.text("name").strip(),
        lifetime=timedelta(days=int(days)) if days else None,
        scopes=frozenset(form.texts("scope")),
    )


def show_form(
    request: Request,
    place: Place,
    available: Scopes,
    form: Form,
    error: CounterfoilError | None = None,
) -> Response:
    """The form for a key with any of these scopes, as it was filled in if there is an error."""
    offered = available - {permissions.ACCOUNT} | {permissions.ROTATE}
    lifetimes = _allowed_lifetimes(request)
    return page(
        request,
        "api_key_new.html",
        status=HTTPStatus.OK if error is None else errors.status_of(error),
        error=error and translate(request, error.detail),
        name=form.text("name"),
        scopes=scopes.describe(request, offered),
        chosen=form.texts("scope"),
        lifetimes={days: translate(request, text) for days, text in lifetimes.items()},
        days=form.text("days") if form.fields else _DEFAULT_LIFETIME,
        **place._asdict(),
    )


def show_key(
    request: Request, back: str, new: NewKey, *, overlap: timedelta = timedelta()
) -> Response:
    """The only page that shows a key. Its predecessor, if any, works on for the overlap."""
    hours = int(overlap.total_seconds() // 3600)
    return page(
        request, "api_key_created.html", key=new.text, stored=new.stored, hours=hours, back=back
    )


def _allowed_lifetimes(request: Request) -> dict[str, str]:
    """Those that are not longer than the settings allow, in days."""
    longest = request.app.state.settings.authentication.max_api_key_days
    if not longest:
        return LIFETIMES
    allowed = {days: text for days, text in LIFETIMES.items() if days and int(days) <= longest}
    return allowed or {str(longest): f"{longest} days"}
