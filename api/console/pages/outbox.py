"""The outbox page: mails, and what became of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.dependencies import SessionDep
from api.web import parameters
from api.web.forms import FormDep
from api.web.rendering import page, redirect
from api.web.signed_in_user import AdministratorDep, SignedInAdministrator
from authentication.administration import mails
from database import limits

router = APIRouter(prefix="/outbox")

PAGE = 50

MailId = Annotated[int, Path(ge=1, le=limits.MAX_BIG_ID)]


@router.get("")
def list_mails(request: Request, admin: AdministratorDep, db: SessionDep) -> Response:
    """Mails, newest first."""
    cursor = parameters.text(request, "cursor")
    found = mails.list_mails(db, limit=PAGE, cursor=cursor)
    return page(request, "outbox.html", found=found, is_first=cursor is None)


@router.post("/{mail_id}/retry")
def retry(
    request: Request, actor: SignedInAdministrator, form: FormDep, db: SessionDep, mail_id: MailId
) -> Response:
    """Try a mail again now."""
    mails.retry(db, actor, mail_id)
    return redirect(request, "/console/outbox", notice="mail-retried")
