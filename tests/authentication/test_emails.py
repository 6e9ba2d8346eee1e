"""One address is one account, in whichever spelling; what does not show is refused."""

import pytest

from authentication.emails import LoginName, normalise_email
from authentication.errors import InvalidField


@pytest.mark.parametrize(
    "spelling",
    [
        "ada@example.org",
        "ADA@Example.ORG",
        "ａｄａ@example.org",
        "ada＠example.org",
        "ᴬda@example.org",
    ],
)
def test_spellings_that_look_alike_become_one(spelling: str) -> None:
    assert normalise_email(spelling) == "ada@example.org"


def test_an_accent_is_the_same_composed_or_decomposed() -> None:
    assert normalise_email("ren\u00e9@example.org") == normalise_email("rene\u0301@example.org")


def test_a_domain_is_the_same_in_unicode_or_punycode() -> None:
    assert normalise_email("ada@b\u00fccher.example.org") == normalise_email(
        "ada@xn--bcher-kva.example.org"
    )


@pytest.mark.parametrize(
    "invisible",
    [
        *("\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u0000", "\n"),
        *("\u034f", "\u115f", "\u17b4", "\u180b", "\u3164", "\ufe0f", "\uffa0", "\U000e0100"),
        *("\ud800", "\U000e0041"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("pattern", ["ad{}a@example.org", "ada{}@example.org", "ada@exam{}ple.org"])
def test_a_character_that_does_not_show_is_refused(pattern: str, invisible: str) -> None:
    with pytest.raises(InvalidField, match="not an e-mail address"):
        normalise_email(pattern.format(invisible))


@pytest.mark.parametrize(
    "text",
    [
        *("", "ada", "@example.org", "ada@", "ada@localhost", "a b@example.org", "a@b@example.org"),
        *("Ada <ada@example.org>", "a" * 250 + "@example.org", "ada@-example.org", "ada@[::1]"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        normalise_email(text)
    assert refused.value.detail == "This is not an e-mail address that we can use."


def test_a_login_name_is_an_address_in_its_normal_form_or_a_username_in_small_letters() -> None:
    assert LoginName.parse("ADA@Example.ORG") == LoginName("ADA@Example.ORG", "ada@example.org")
    for raw in ("Ada.L", "no@body@nowhere", "n o b o d y", ""):
        assert LoginName.parse(raw) == LoginName(raw, raw.lower())
