"""Turns errors below /account into pages that say what somebody can do."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import errors as api_errors
from api.pages.rendering import page, translate
from api.request.forms import InvalidForm, UnsupportedForm
from authentication.errors import InvalidMailToken
from counterfoil.errors import CounterfoilError, DatabaseUnavailable
from counterfoil.problems import RETRY_AFTER, log_unavailable


def install(pages: FastAPI) -> None:
    """Register a handler for every error that a page can raise."""
    pages.exception_handler(InvalidMailToken)(_invalid_link)
    pages.exception_handler(CounterfoilError)(_rejected)
    pages.exception_handler(InvalidForm)(_invalid_form)
    pages.exception_handler(DatabaseUnavailable)(_unavailable)
    pages.exception_handler(RequestValidationError)(_not_found)
    pages.exception_handler(HTTPException)(_http)
    pages.exception_handler(Exception)(_unexpected)


async def _invalid_link(request: Request, error: InvalidMailToken) -> Response:
    return page(request, "invalid_link.html", status=HTTPStatus.BAD_REQUEST)


async def _rejected(request: Request, error: CounterfoilError) -> Response:
    status, headers = api_errors.status_of(error), api_errors.headers_of(error)
    return _show(request, status, error.detail, headers)


async def _invalid_form(request: Request, error: InvalidForm) -> Response:
    is_unsupported = isinstance(error, UnsupportedForm)
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE if is_unsupported else HTTPStatus.BAD_REQUEST
    return _show(request, status, str(error))


async def _unavailable(request: Request, error: DatabaseUnavailable) -> Response:
    log_unavailable(error)
    return _show(request, HTTPStatus.SERVICE_UNAVAILABLE, error.detail, RETRY_AFTER)


async def _not_found(request: Request, error: RequestValidationError) -> Response:
    return _show(request, HTTPStatus.NOT_FOUND, "There is no such thing.")


async def _http(request: Request, error: HTTPException) -> Response:
    return _show(
        request, HTTPStatus(error.status_code), str(error.detail), dict(error.headers or {})
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    detail = "Something went wrong on our side."
    return _show(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _show(
    request: Request, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None
) -> Response:
    text = translate(request, detail)
    return page(request, "error.html", status=status, headers=headers, detail=text)
