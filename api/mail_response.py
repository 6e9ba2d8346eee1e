"""The response to what a mail has to confirm."""

from http import HTTPStatus

from fastapi import Response

from schemas.mail import MailTransaction

_NO_STORE = {"Cache-Control": "no-store"}


def accepted(transaction: str) -> Response:
    """202 with the transaction, which belongs to the client alone that has asked."""
    body = MailTransaction(transaction=transaction).model_dump_json()
    return Response(body, HTTPStatus.ACCEPTED, headers=_NO_STORE, media_type="application/json")
