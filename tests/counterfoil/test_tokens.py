"""Only what we can have issued is taken for a token."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil import tokens
from counterfoil.tokens import TokenKind

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=1000)
CHARACTERS = string.ascii_letters + string.digits + "-_"
KINDS = st.sampled_from(list(TokenKind))


@REPEATABLE
@given(st.text(st.characters(), max_size=200))
def test_any_text_is_judged_and_none_of_it_is_a_token(text: str) -> None:
    assert tokens.kind_of(text) is None


@REPEATABLE
@given(KINDS, st.text(CHARACTERS, min_size=43, max_size=43), st.text(CHARACTERS, min_size=6))
def test_a_guessed_checksum_is_refused(kind: TokenKind, body: str, checksum: str) -> None:
    assert tokens.kind_of(kind + body + checksum[:6]) is None


@settings(REPEATABLE, max_examples=300)
@given(KINDS, st.data())
def test_a_token_with_one_character_changed_is_none(kind: TokenKind, data: st.DataObject) -> None:
    text = tokens.create(kind).text
    assert tokens.kind_of(text) is kind
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda character: character != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    assert tokens.kind_of(changed) is None


@settings(REPEATABLE, max_examples=300)
@given(KINDS, st.text(min_size=1, max_size=5))
def test_nothing_may_be_added_to_a_token(kind: TokenKind, more: str) -> None:
    text = tokens.create(kind).text
    assert tokens.kind_of(text + more) is None
    assert tokens.kind_of(more + text) is None


@settings(REPEATABLE, max_examples=300)
@given(KINDS, st.text(max_size=20), st.integers(20, 53))
def test_a_token_in_a_text_is_redacted_even_if_it_is_cut_off(
    kind: TokenKind, before: str, length: int
) -> None:
    part = tokens.create(kind).text[:length]
    redacted = tokens.redact(f"{before} {part} after")
    assert redacted.endswith(f" {kind}[removed] after")
    assert part not in redacted


def test_a_word_that_only_begins_like_a_token_is_left() -> None:
    text = "cfa_ and cfa_short, cfz_" + "a" * 49
    assert tokens.redact(text) == text
