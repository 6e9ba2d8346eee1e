"""What mails are about."""

from enum import StrEnum


class MailKind(StrEnum):
    """What is written to the outbox. Those from NEW_LOGIN on are notices, which can be off."""

    RESET = "reset"
    VERIFY = "verify"
    CHANGE = "change"
    REGISTER = "register"
    NEW_LOGIN = "new_login"
    PASSWORD_CHANGED = "password_changed"
    EMAIL_CHANGED = "email_changed"
    API_KEY_CREATED = "api_key_created"
    API_KEY_EXPIRES = "api_key_expires"
    FACTOR_ADDED = "factor_added"
    FACTOR_REMOVED = "factor_removed"
    RECOVERY_CODE_USED = "recovery_code_used"
    PASSKEY_COPIED = "passkey_copied"


NOTICES = (
    MailKind.NEW_LOGIN,
    MailKind.PASSWORD_CHANGED,
    MailKind.EMAIL_CHANGED,
    MailKind.API_KEY_CREATED,
    MailKind.API_KEY_EXPIRES,
    MailKind.FACTOR_ADDED,
    MailKind.FACTOR_REMOVED,
    MailKind.RECOVERY_CODE_USED,
    MailKind.PASSKEY_COPIED,
)


class LinkKind(StrEnum):
    """What a link, or a code, can do. The kinds of rows of `mail_tokens`."""

    RESET = "reset"
    VERIFY = "verify"
    CHANGE = "change"
    REGISTER = "register"
    REVERT = "revert"


CONFIRMING = (LinkKind.VERIFY, LinkKind.CHANGE, LinkKind.REGISTER)
"""The links that confirm an address."""

VOIDED_BY_CHANGES = (LinkKind.RESET, LinkKind.VERIFY, LinkKind.CHANGE)
"""All but the link that takes a change back: it has to outlast what a thief changes next."""
