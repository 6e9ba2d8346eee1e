"""How long stored texts may be, and other limits that more than one layer checks.

This module imports nothing, so that the schemas can import it too.
"""

MAX_ID = 2**31 - 1
"""The largest id of a user: PostgreSQL raises an error for a comparison with a larger integer."""

MAX_BIG_ID = 2**63 - 1
"""The same for the id of anything else that is numbered."""

MAX_EMAIL_LENGTH = 254
MAX_STORED_EMAIL_LENGTH = 320
"""Addresses that were inserted by SQL may be longer than new ones, and must be found."""

MAX_USERNAME_LENGTH = 64
MAX_PASSWORD_LENGTH = 1024

MAX_RELEASED_NAMES = 10
"""How many names one account may have given up at a time, unless it is deleted."""

MAX_LABEL_LENGTH = 200
"""Names and surnames, the labels of clients, the names of API keys, and what is searched for."""

MAX_TEXT_LENGTH = 2000
"""Addresses of websites, and lists of scopes."""

MAX_CLIENT_ID_LENGTH = 64
"""The ids of registered clients. The label of a client that is not registered may be longer."""

CODE_CHALLENGE_LENGTH = 43
"""Of S256: a SHA-256 digest in base64url (RFC 7636, 4.2)."""

MAX_SCOPES = 100
"""That a client may be registered with."""

MAX_ROLE_LENGTH = 64
MAX_MAIL_KIND_LENGTH = 32
MAX_CHALLENGE_KIND_LENGTH = 16
MAX_AMR_LENGTH = 64
MAX_LOCALE_LENGTH = 16
MAX_ERROR_CODE_LENGTH = 64
MAX_IP_LENGTH = 45
HINT_LENGTH = 4
"""How many of the last characters of an API key are stored to recognise it by."""

MAX_API_KEY_DAYS = 3650

REVOKE_BATCH = 500
"""The most sessions that one call of an administrator revokes, so that it locks few rows."""

ROLE_PATTERN = rf"[A-Za-z0-9][A-Za-z0-9._:+-]{{0,{MAX_ROLE_LENGTH - 1}}}"
"""New names of roles: nothing that divides them in headers, and no two that look the same."""

# No "@" and not digits alone, so that a username is never taken for an e-mail address or for an id;
# and no two that look the same.
USERNAME_PATTERN = rf"(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9._+-]{{0,{MAX_USERNAME_LENGTH - 1}}}"

MAX_CREDENTIAL_ID_LENGTH = 1023
"""In bytes, of a passkey (Web Authentication Level 3, 4)."""

MAX_PUBLIC_KEY_LENGTH = 1024
"""In bytes, of a passkey. An RSA key of 4096 bits has half of that."""
