"""What mails say: every template in every language, and templates of one's own."""

import gettext
import re
from pathlib import Path
from typing import Any

import pytest

from authentication import languages
from authentication.mail.kinds import MailKind
from authentication.mail.sending.letters import Letter, Letters
from authentication.mail.settings import MailSettings
from scripts import translate
from tests.support import mailbox

SAYS: dict[str, Any] = {
    "link": "https://id.example.com/account/reset-password?token=cfm_" + "x" * 49,
    "code": "BCDF-GH34",
    "code_minutes": 10,
    "minutes": 30,
    "hours": 24,
    "address": "ada@example.org",
    "name": "Nightly <b>report</b>",
    "ends": "2026-12-03",
    "ip": "192.0.2.1",
    "at": "2026-11-26 09:30 UTC",
}
TEMPLATES = [*MailKind, "address_taken", "test"]


def letters(**settings: Any) -> Letters:
    return Letters(MailSettings(mail_from="Example <no-reply@example.org>", **settings))


@pytest.mark.parametrize("language", languages.available())
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_mail_can_be_written_in_every_language(template: str, language: str) -> None:
    envelope = letters().render(Letter(template, "ada@example.org", language, SAYS))
    mail = mailbox.parse(envelope.message.as_bytes())
    assert (envelope.sender, envelope.recipient) == ("no-reply@example.org", "ada@example.org")
    assert "Example" in mail.subject
    assert mail.text.strip()
    assert f'<html lang="{language}">' in mail.html
    assert "%(" not in mail.subject + mail.text + mail.html
    assert "<b>" not in mail.html
    if template == MailKind.API_KEY_EXPIRES:
        # It leads nowhere: the key is used by a program.
        assert SAYS["name"] in mail.text
        assert SAYS["ends"] in mail.text
        assert SAYS["ends"] in mail.html
    elif template != "test":
        assert SAYS["link"] in mail.text
        assert f'href="{SAYS["link"]}"' in mail.html


@pytest.mark.parametrize("language", languages.available()[1:])
def test_translations_are_complete_and_compiled(language: str) -> None:
    po, mo = translate.paths(language)
    catalog = translate.updated(language)
    assert po.read_bytes() == translate.text_of(catalog), "run `python -m scripts.translate`"
    missing = [message.id for message in catalog if message.id and not message.string]
    fuzzy = [message.id for message in catalog if message.id and message.fuzzy]
    assert (missing, fuzzy) == ([], [])
    with mo.open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in catalog:
        if message.id:
            assert compiled.gettext(str(message.id)) == message.string


@pytest.mark.parametrize("language", languages.available()[1:])
def test_a_translation_names_what_the_text_names(language: str) -> None:
    for message in translate.updated(language):
        named, translated = (
            set(re.findall(r"%\(\w+\)s|\{\w+\}", str(text)))
            for text in (message.id, message.string)
        )
        assert named == translated, message.id


def test_templates_of_ones_own_take_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "reset.txt").write_text(
        '{% extends "layout.txt" %}{% block subject %}Ahoy\n {{ application }}{% endblock %}'
        "{% block body %}Go to {{ link }}{% endblock %}"
    )
    letter = Letter("reset", "ada@example.org", "en", SAYS)
    mail = mailbox.parse(letters(mail_templates=tmp_path).render(letter).message.as_bytes())
    assert mail.subject == "Ahoy Example"
    assert mail.text.startswith(f"Go to {SAYS['link']}")
    assert "BCDF-GH34" in mail.html


@pytest.mark.parametrize(
    "address", ["a@x.org, b@x.org", "a@x.org\nBcc: b@x.org", "nobody", "", "a@x.org\x00"]
)
def test_what_is_no_single_address_gets_no_mail(address: str) -> None:
    with pytest.raises(ValueError, match="no mail can be sent"):
        letters().render(Letter("test", address, "en"))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-CH,en;q=0.9", "de"),
        ("en;q=0.2, DE;q=0.3", "de"),
        ("fr, *", "en"),
        ("de;q=0", "en"),
        ("de;q=x", "en"),
        ("../../etc", "en"),
        ("de," * 1000, "en"),
    ],
)
def test_the_language_is_the_preferred_one_that_there_is(header: str, language: str) -> None:
    assert languages.negotiate(header) == language
