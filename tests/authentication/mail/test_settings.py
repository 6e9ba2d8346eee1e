"""Settings of mail: what is wrong is said in one line, which never quotes a password."""

from pathlib import Path

import pytest

from api import weak_settings
from api.settings import load
from authentication.mail import servers
from authentication.mail.servers import FileTarget, Security, SmtpServer
from database.settings import InvalidSettings

MAIL = {"MAIL_URL": "smtps://mail.example.org", "MAIL_FROM": "Example <no-reply@example.org>"}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def set_all(environment: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        environment.setenv(f"COUNTERFOIL_{name}", value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("smtps://h", SmtpServer(Security.TLS, "h", 465)),
        ("smtp+starttls://h:2525", SmtpServer(Security.STARTTLS, "h", 2525)),
        ("smtp+plain://h", SmtpServer(Security.NONE, "h", 25)),
        (
            "smtps://a%40b:p%2Fw@h?cafile=/ca.pem",
            SmtpServer(Security.TLS, "h", 465, "a@b", "p/w", "/ca.pem"),
        ),
        ("file:mail", FileTarget(Path("mail"))),
        ("file:///var/mail", FileTarget(Path("/var/mail"))),
    ],
)
def test_an_address_of_a_mail_server_is_read(url: str, read: object) -> None:
    assert servers.parse_url(url) == read


@pytest.mark.parametrize(
    "url",
    [
        "smtp://u:secret@h",
        "https://u:secret@h",
        "smtps://",
        "smtps://u:secret@h/path",
        "smtps://u:secret@h:port",
        "smtps://u:secret@h?tls=off",
    ],
)
def test_another_address_is_one_line_without_its_password(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    set_all(environment, MAIL_URL=url, MAIL_FROM=MAIL["MAIL_FROM"])
    with pytest.raises(InvalidSettings, match=r"^COUNTERFOIL_MAIL_URL: ") as raised:
        load()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"MAIL_URL": MAIL["MAIL_URL"]}, "MAIL_FROM"),
        ({**MAIL, "MAIL_FROM": "nobody"}, "MAIL_FROM"),
        ({**MAIL, "LINK_RESET": "https://x.example.org/reset"}, "LINK_RESET"),
        ({**MAIL, "MAIL_NOTICES": "new_login, weather"}, "MAIL_NOTICES"),
        ({**MAIL, "MAIL_NOTICES": "reset"}, "MAIL_NOTICES"),
        ({"REQUIRE_VERIFIED_EMAIL": "on"}, "REQUIRE_VERIFIED_EMAIL"),
        ({"REGISTRATION": "confirm"}, "REGISTRATION"),
        ({"REGISTRATION": "sometimes"}, "REGISTRATION"),
    ],
)
def test_what_does_not_go_together_is_said(
    environment: pytest.MonkeyPatch, values: dict[str, str], said: str
) -> None:
    set_all(environment, **values)
    with pytest.raises(InvalidSettings, match=said):
        load()


@pytest.mark.parametrize(
    ("value", "read"), [("on", "open"), ("true", "open"), ("off", "off"), ("0", "off")]
)
def test_registration_is_still_read_as_a_switch(
    environment: pytest.MonkeyPatch, value: str, read: str
) -> None:
    set_all(environment, REGISTRATION=value)
    assert load().authentication.registration == read


def test_notices_are_named_or_all_are_off(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, **MAIL, MAIL_NOTICES="new_login, email_changed")
    assert load().mail.mail_notices == ("new_login", "email_changed")
    set_all(environment, MAIL_NOTICES="")
    assert load().mail.mail_notices == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"MAIL_URL": "smtp+plain://mail.example.org"}, "MAIL_URL is smtp+plain"),
        ({"MAIL_URL": "file:mail"}, "MAIL_URL is a directory"),
        ({"LINK_RESET": "http://app.example.org/{token}"}, "LINK_RESET is not https"),
    ],
)
def test_what_weakens_mail_is_named_at_the_start(
    environment: pytest.MonkeyPatch, values: dict[str, str], said: str
) -> None:
    set_all(environment, **{**MAIL, **values})
    assert [line for line in weak_settings.find(load()) if line.startswith(said)]
    set_all(environment, **MAIL, LINK_RESET="https://app.example.org/{token}")
    assert not [line for line in weak_settings.find(load()) if "LINK" in line or "MAIL" in line]
