"""Sets a new password for a user who has forgotten theirs, by a link or a code in a mail."""

from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import password_change
from authentication.audit import Event, Origin, Reason
from authentication.emails import parse_address
from authentication.errors import InvalidMailToken, TooManyAttempts
from authentication.mail import redemption
from authentication.mail.kinds import LinkKind
from authentication.mail.redemption import Proof
from authentication.passwords import strength
from authentication.service import Service
from authentication.throttling import counting
from authentication.throttling.counting import Exceeded
from database import queries


async def request(service: Service, email: str, *, origin: Origin) -> str:
    """Have a mail sent to the owner of this address. Returns a transaction id, also for nobody's.

    Nothing differs by whether there is such a user, who is looked up when the mail is sent. Raises
    InvalidField for what is no address, TooManyAttempts for a client that asks too often, and
    MailBusy in a flood.
    """
    outbox, rejections = service.mailing.outbox, service.mailing.rejections
    if rejection := rejections.find_for_unknown("", origin.network):
        raise rejection

    async def add() -> str | list[Exceeded]:
        address = parse_address(email)
        return await service.database.run(
            lambda db: outbox.add_reset(db, address, origin=origin), is_untrusted=True
        )

    asked = await service.mail_requests.run(add)
    if isinstance(asked, list):
        # In a flood, the same client is rejected again without a query.
        rejections.add("", origin.network, asked, is_known=False)
        raise TooManyAttempts(counting.longest_retry_after(asked))
    return asked


async def reset(service: Service, proof: Proof, new: str, *, origin: Origin) -> None:
    """Store a new password, and end all that somebody else may have obtained by the old one.

    No session begins. Raises InvalidMailToken; WeakPassword, after which the link still works;
    TooManyAttempts, HashingBusy.
    """
    found = await redemption.find(service, proof, [LinkKind.RESET], origin=origin)
    if found.user is None:
        raise InvalidMailToken
    words = strength.words_about(found.user, found.user.email)
    strength.reject_weak(new, settings=service.settings, words=words, field="new_password")
    user_id = found.user.id
    hashed = await service.hashing.run(lambda: service.hasher.hash(new), user_id=user_id)

    def store(db: Session) -> None:
        user = redemption.use(db, found.token)
        password_change.store_password(
            db,
            user,
            hashed,
            origin=origin.acting_as(audit.user(user.id)),
            end_api_keys=service.mailing.settings.reset_ends_api_keys,
            event=Event.PASSWORD_RESET,
            reason=Reason.PASSWORD_RESET,
        )
        queries.users.set_verified_email(db, user)

    await service.database.run(store)
