"""What the pages share that links in mails lead to."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response

from api.web.forms import Form
from api.web.rendering import page
from authentication.errors import InvalidMailToken
from authentication.mail.redemption import Proof


def install(pages: FastAPI) -> None:
    """Register the page for a link that does not work any more."""
    pages.exception_handler(InvalidMailToken)(_invalid_link)


def secret_page(request: Request, template: str, **options: Any) -> Response:
    """A page whose address holds the token of a link."""
    response = page(request, template, **options)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def proof_of(form: Form) -> Proof:
    """The token of a link; or, without one, a code with its transaction.

    It is what entitles to sending the form, so there is no CSRF token.
    """
    if token := form.text("token"):
        return Proof(token)
    return Proof(None, form.text("transaction"), form.text("code"))


async def _invalid_link(request: Request, error: InvalidMailToken) -> Response:
    return secret_page(request, "invalid_link.html", status=HTTPStatus.BAD_REQUEST)
