"""A user with a browser that has no scripts, on a service in another process."""

import html
import re

import requests

from tests.support.client import PASSWORD

_FIELD = re.compile(r'name="(csrf_token|transaction|user_code)"[^>]* value="([^"]*)"')
_REFRESH = re.compile(r'<meta http-equiv="refresh" content="0; url=([^"]+)">')


class UserAgent:
    """Ada, who has an account and is signed in."""

    def __init__(self, url: str, email: str = "ada@example.org") -> None:
        self._url = url
        # Secure cookies would not be sent over HTTP by a cookie jar, as they are to loopback.
        self._cookies: dict[str, str] = {}
        account = {"email": email, "password": PASSWORD, "name": "Ada"}
        requests.post(f"{url}/register", json=account, timeout=10).raise_for_status()
        self._get(f"{url}/sign-in")
        self._post("/sign-in", username=email, password=PASSWORD)

    def allow(self, address: str) -> str:
        """Follow the link of an application, and allow it what it asks for.

        Returns the address to which the browser goes then.
        """
        answer = self._get(address)
        if "location" not in answer.headers:
            answer = self._post("/authorize/decision", decision="allow")
        found = _REFRESH.search(answer.text)
        return html.unescape(found[1]) if found else answer.headers["location"]

    def connect(self, address: str) -> None:
        """Allow a device what it asks for, by the address that has its code."""
        self._get(address)
        self._post("/device")
        assert "connected" in self._post("/device/decision", decision="allow").text

    def _get(self, address: str) -> requests.Response:
        return self._keep(
            requests.get(address, cookies=self._cookies, allow_redirects=False, timeout=10)
        )

    def _post(self, path: str, **fields: str) -> requests.Response:
        """Send the form of the page, with what the user fills in."""
        form = {**self._fields, **fields}
        address = self._url + path
        return self._keep(
            requests.post(
                address, data=form, cookies=self._cookies, allow_redirects=False, timeout=10
            )
        )

    def _keep(self, answer: requests.Response) -> requests.Response:
        self._cookies.update({name: value or "" for name, value in answer.cookies.items()})
        self._fields = {name: html.unescape(value) for name, value in _FIELD.findall(answer.text)}
        return answer
