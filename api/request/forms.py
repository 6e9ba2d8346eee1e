"""Reads forms: the fields of any form, and the parameters of OAuth requests (RFC 6749, 3.1, 3.2).

OAuth parameters come from the body alone, each at most once; one without a value counts as not
sent.
"""

import base64
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote_plus

from fastapi import Request

from api.oauth_errors import OAuthException
from api.request import media_types
from authentication.clients.client_authentication import ClientCredentials
from counterfoil import tokens
from database import limits
from schemas.text import has_control_characters

_FORM = "application/x-www-form-urlencoded"
_MAX_PARAMETERS = 50
_UNREADABLE_BASIC = "The Authorization header cannot be read."


class InvalidForm(ValueError):
    """The body is not a form that can be read. The message says why."""


class UnsupportedForm(InvalidForm):
    """The body is of another type than a form, or compressed."""


async def read_fields(request: Request, *, max_fields: int) -> list[tuple[str, str]]:
    """The fields of a form in their order. Raises InvalidForm."""
    is_form = media_types.of(request) == _FORM and not media_types.is_encoded(request.headers.raw)
    if media_types.has_body(request) and not is_form:
        raise UnsupportedForm(f"The body must be {_FORM}, and not compressed.")
    try:
        body = (await request.body()).decode()
        fields = parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=max_fields)
    except ValueError:
        raise InvalidForm("The body cannot be read as a form.") from None
    # PostgreSQL cannot store NUL.
    if any("\x00" in value for _, value in fields):
        raise InvalidForm("A parameter contains NUL.")
    return fields


async def read(request: Request) -> dict[str, str]:
    """The OAuth parameters. Raises OAuthException if they cannot be read or one is repeated."""
    try:
        fields = await read_fields(request, max_fields=_MAX_PARAMETERS)
    except UnsupportedForm as error:
        raise OAuthException(
            "invalid_request", str(error), status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        ) from None
    except InvalidForm as error:
        raise OAuthException("invalid_request", str(error)) from None
    form = dict(fields)
    if len(form) != len(fields):
        raise OAuthException("invalid_request", "A parameter is repeated.")
    return {name: value for name, value in form.items() if value}


def required(form: dict[str, str], name: str) -> str:
    """A parameter that must be there. Raises OAuthException."""
    if name not in form:
        raise OAuthException("invalid_request", f"The parameter {name} is missing.")
    return form[name]


def required_token(form: dict[str, str], name: str) -> str:
    """A parameter that is a token, without the white space around it. Raises OAuthException."""
    return tokens.strip(required(form, name))


def client_credentials(request: Request, form: dict[str, str]) -> ClientCredentials:
    """What the request says about its client, in the form or by HTTP Basic, but not in both.

    Swagger UI sends `Basic Og==`, an empty name and secret, where its fields are left empty.
    Without a registered client of that name, it is a label that the client gives itself.
    """
    name, secret = basic_credentials(request) or ("", "")
    if secret and form.get("client_secret"):
        raise OAuthException("invalid_request", "The client authenticates in two ways. Use one.")
    secret = secret or tokens.strip(form.get("client_secret", ""))
    return ClientCredentials(_client_id(form.get("client_id", ""), name), secret or None)


def _client_id(*sent: str) -> str | None:
    names = {name.strip() for name in sent if name.strip()}
    if len(names) > 1:
        raise OAuthException("invalid_request", "Two different values for client_id were sent.")
    name = names.pop() if names else None
    if name and len(name) > limits.MAX_LABEL_LENGTH:
        raise OAuthException("invalid_request", "The client_id is too long.")
    # A line break could forge a log line or, behind a proxy, a header.
    if name and has_control_characters(name):
        raise OAuthException("invalid_request", "The client_id contains control characters.")
    return name


def basic_credentials(request: Request) -> tuple[str, str] | None:
    """The name and the secret of HTTP Basic, each form-encoded (RFC 6749, 2.3.1).

    The secret is a token.
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
        name, colon, secret = text.partition(":")
        secret = tokens.strip(unquote_plus(secret, errors="strict"))
        pair = (unquote_plus(name, errors="strict"), secret)
    except ValueError:
        raise OAuthException("invalid_request", _UNREADABLE_BASIC) from None
    if not colon or "\x00" in pair[0]:
        raise OAuthException("invalid_request", _UNREADABLE_BASIC)
    return pair
