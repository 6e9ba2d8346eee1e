"""Gives a page of Chromium an authenticator that signs without asking anybody."""

from typing import Any

from playwright.sync_api import CDPSession, Page

_OPTIONS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class VirtualAuthenticator:
    """One device, over Chromium's own protocol for developers."""

    def __init__(self, page: Page, **options: Any) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        made = self._session.send(
            "WebAuthn.addVirtualAuthenticator", {"options": {**_OPTIONS, **options}}
        )
        self._id = made["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        """The passkeys on it, with their private keys."""
        found = self._send("getCredentials")["credentials"]
        return list(found)

    def set_counter(self, count: int) -> None:
        """Set the counter of the only passkey, as an older copy of the device would have it."""
        (credential,) = self.credentials()
        self._send("removeCredential", credentialId=credential["credentialId"])
        self._send("addCredential", credential={**credential, "signCount": count})

    def set_user_verified(self, is_verified: bool) -> None:
        self._send("setUserVerified", isUserVerified=is_verified)

    def _send(self, method: str, **parameters: Any) -> Any:
        return self._session.send(f"WebAuthn.{method}", {"authenticatorId": self._id, **parameters})
