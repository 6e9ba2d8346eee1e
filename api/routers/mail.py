"""What is confirmed by mail: passwords that are set anew, and e-mail addresses."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.dependencies import (
    AccountActor,
    AccountIdentity,
    OriginDep,
    ServiceDep,
    SessionDep,
)
from api.mail_response import accepted
from api.openapi.problems import problems
from api.routing.json_route import JsonRoute
from authentication.accounts import email_addresses, password_reset
from authentication.mail.redemption import Proof
from schemas.mail import (
    EmailStatus,
    ForgottenPassword,
    MailProof,
    MailTransaction,
    PasswordReset,
    Revert,
)

router = APIRouter(tags=["mail"], route_class=JsonRoute)


@router.post(
    "/password/forgot",
    summary="Ask for a mail to set a new password",
    status_code=HTTPStatus.ACCEPTED,
    response_model=MailTransaction,
    response_description="If there is such an account, a mail is on its way.",
    responses=problems(400, 408, 413, 415, 422, 429, 503),
)
async def forgot_password(
    body: ForgottenPassword, service: ServiceDep, origin: OriginDep
) -> Response:
    """The answer is the same whether there is an account with the address or not.

    The mail contains a link, and a code that works only together with the transaction. Asking again
    makes earlier links useless. The 429 is for clients that ask too often, whatever they ask for.
    """
    transaction = await password_reset.request(service, body.email, origin=origin)
    return accepted(transaction)


@router.post(
    "/password/reset",
    summary="Set a new password by a mail",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The password is set. All sessions are revoked.",
    responses=problems(400, 408, 413, 415, 422, 429, 503),
)
async def reset_password(body: PasswordReset, service: ServiceDep, origin: OriginDep) -> None:
    """Also revokes API keys, unless a setting keeps them, and verifies the address.

    No session begins: log in with the new password. After a 422, the link still works.
    """
    proof = Proof(body.token, body.transaction, body.code)
    await password_reset.reset(service, proof, body.new_password, origin=origin)


@router.get(
    "/email/verification",
    summary="Read whether your e-mail address is verified",
    response_description="The address, and which one waits to be confirmed.",
    responses=problems(400, 401, 403, 503),
)
def read_verification(identity: AccountIdentity, db: SessionDep) -> EmailStatus:
    """An address counts as verified as long as it is the one that was confirmed."""
    return EmailStatus.model_validate(email_addresses.read_status(db, identity.user_id))


@router.post(
    "/email/verification",
    summary="Ask for a mail to verify your e-mail address",
    status_code=HTTPStatus.ACCEPTED,
    response_model=MailTransaction,
    response_description="The mail is on its way.",
    responses=problems(400, 401, 403, 409, 422, 429, 503),
)
async def request_verification(actor: AccountActor, service: ServiceDep) -> Response:
    """If the address is verified already, the answer is 409 (`already_verified`)."""
    return accepted(await email_addresses.request_verification(service, actor))


@router.post(
    "/email/verify",
    summary="Confirm an e-mail address",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The address is confirmed.",
    responses=problems(400, 408, 409, 413, 415, 422, 429, 503),
)
async def verify_email(body: MailProof, service: ServiceDep, origin: OriginDep) -> None:
    """The present address of an account, a new one, or that of a registration."""
    proof = Proof(body.token, body.transaction, body.code)
    await email_addresses.confirm(service, proof, origin=origin)


@router.post(
    "/email/revert",
    summary="Take a change of your e-mail address back",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The old address is back. All sessions are revoked.",
    responses=problems(400, 408, 409, 413, 415, 422, 429, 503),
)
async def revert_email(body: Revert, service: ServiceDep, origin: OriginDep) -> None:
    """By the link in the mail to the old address, which a thief cannot read who has changed it."""
    await email_addresses.revert(service, Proof(body.token), origin=origin)
