"""Forms for people who are not signed in: to sign in, and to create an account.

There is no session yet whose cookie could be the key of their CSRF tokens, so they have a cookie of
their own.
"""

import secrets
from typing import Any

from fastapi import Request, Response

from api.web import cookies, csrf
from api.web.csrf import CookieMissing
from api.web.forms import Form
from api.web.rendering import page


def show(request: Request, template: str, **options: Any) -> Response:
    """A page with such a form."""
    key = cookies.read(request, cookies.SIGN_IN) or secrets.token_urlsafe(32)
    response = page(request, template, form_token=csrf.token(key), **options)
    cookies.write(request, response, cookies.SIGN_IN, key)
    return response


def check(request: Request, form: Form) -> None:
    """Raises CsrfCheckFailed unless a page of this browser has sent the form."""
    key = cookies.read(request, cookies.SIGN_IN)
    if key is None:
        raise CookieMissing
    csrf.check(request, key, form.text(csrf.FIELD))
