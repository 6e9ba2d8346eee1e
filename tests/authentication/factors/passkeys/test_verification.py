"""What an authenticator sends, right and wrong in one place at a time."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fido2 import cbor

from authentication.factors.passkeys import verification
from authentication.factors.passkeys.messages import (
    Assertion,
    InvalidResponse,
    KnownCredential,
    NewCredential,
    Registration,
    Signed,
)
from authentication.factors.passkeys.relying_party import RelyingParty
from authentication.settings import AuthenticationSettings
from tests.support.authenticator import (
    BACKED_UP,
    ELIGIBLE,
    PRESENT,
    VERIFIED,
    Passkey,
    decode,
    encode,
)

PARTY = RelyingParty("example.org", frozenset(["https://login.example.org"]))
CHALLENGE = bytes(range(32))
HANDLE = bytes(range(32, 64))
OPTIONS = {"challenge": encode(CHALLENGE), "user": {"id": encode(HANDLE)}}


def new_passkey(**changes: Any) -> Passkey:
    return Passkey(**{"origin": "https://login.example.org", "rp_id": "example.org", **changes})


def read_registration(sent: dict[str, Any]) -> Registration:
    response = sent["response"]
    return Registration(
        decode(sent["id"]),
        decode(response["clientDataJSON"]),
        decode(response["attestationObject"]),
    )


def read_assertion(sent: dict[str, Any]) -> Assertion:
    response = sent["response"]
    handle = response.get("userHandle")
    return Assertion(
        decode(sent["id"]),
        decode(response["clientDataJSON"]),
        decode(response["authenticatorData"]),
        decode(response["signature"]),
        None if handle is None else decode(handle),
    )


def register(passkey: Passkey) -> NewCredential:
    sent = read_registration(passkey.register(OPTIONS))
    return verification.verify_registration(PARTY, sent, challenge=CHALLENGE)


def known(passkey: Passkey, **changes: Any) -> KnownCredential:
    fields = {
        "public_key": cbor.encode(passkey.cose_key),
        "backup_eligible": bool(passkey.flags & ELIGIBLE),
        "user_handle": HANDLE,
    }
    return KnownCredential(**{**fields, **changes})


def check(passkey: Passkey, stored: KnownCredential, *, by_handle: bool = True) -> Signed:
    sent = read_assertion(passkey.sign(OPTIONS))
    return verification.verify_assertion(
        PARTY, sent, stored, challenge=CHALLENGE, needs_user_handle=by_handle
    )


def test_a_passkey_is_registered_and_signs() -> None:
    passkey = new_passkey(sign_count=6)
    created = register(passkey)
    assert (created.credential_id, created.sign_count) == (passkey.id, 6)
    assert (created.backup_eligible, created.backed_up) == (False, False)
    stored = known(passkey, public_key=created.public_key)
    assert check(passkey, stored) == Signed(sign_count=7, backed_up=False)


def test_a_synced_passkey_says_that_it_is() -> None:
    flags = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP
    passkey = new_passkey(flags=flags, steps=0)
    created = register(passkey)
    assert (created.backup_eligible, created.backed_up) == (True, True)
    assert check(passkey, known(passkey)) == Signed(sign_count=0, backed_up=True)


@pytest.mark.parametrize(
    "said",
    [
        # What iOS says for an application, and what Android does.
        {"crossOrigin": ...},
        {"crossOrigin": ..., "androidPackageName": "org.example.app"},
        {"crossOrigin": False, "topOrigin": ..., "other_keys_can_be_added_here": "do not compare"},
    ],
)
def test_what_applications_and_browsers_leave_out_or_add_is_no_matter(said: dict[str, Any]) -> None:
    passkey = new_passkey(client_data=said)
    stored = known(passkey, public_key=register(passkey).public_key)
    assert check(passkey, stored).sign_count == 1


WRONG_PLACES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://evil.example.org"},
    "another scheme": {"origin": "http://login.example.org"},
    "a longer origin": {"origin": "https://login.example.org.evil.org"},
    "no origin at all": {"client_data": {"origin": None}},
    "a list of origins": {"client_data": {"origin": ["https://login.example.org"]}},
    "another domain": {"rp_id": "evil.org"},
    "a subdomain": {"rp_id": "login.example.org"},
    "embedded": {"client_data": {"crossOrigin": True}},
    "embedded, as the origin above says": {"client_data": {"topOrigin": "https://evil.org"}},
    "embedded, as text": {"client_data": {"crossOrigin": "false"}},
    "the other ceremony": {"client_data": {"type": "payment.get"}},
    "another challenge": {"client_data": {"challenge": encode(bytes(32))}},
    "no challenge": {"client_data": {"challenge": None}},
    "no user": {"flags": VERIFIED},
    "no verified user": {"flags": PRESENT},
    "backed up but not eligible": {"flags": PRESENT | VERIFIED | BACKED_UP},
}


@pytest.mark.parametrize("changes", WRONG_PLACES.values(), ids=WRONG_PLACES)
def test_what_differs_from_what_was_asked_for_is_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidResponse):
        register(new_passkey(**changes))
    passkey = new_passkey(**changes, user_handle=HANDLE)
    with pytest.raises(InvalidResponse):
        check(passkey, known(passkey))


def test_what_is_of_the_other_ceremony_is_rejected() -> None:
    created = new_passkey(client_data={"type": "webauthn.get"})
    with pytest.raises(InvalidResponse, match="type"):
        register(created)
    signing = new_passkey(client_data={"type": "webauthn.create"}, user_handle=HANDLE)
    with pytest.raises(InvalidResponse, match="type"):
        check(signing, known(signing))


def test_the_user_handle_must_be_the_owners() -> None:
    passkey = new_passkey(user_handle=HANDLE)
    with pytest.raises(InvalidResponse, match="handle"):
        check(passkey, known(passkey, user_handle=bytes(32)))
    nameless = new_passkey()
    with pytest.raises(InvalidResponse, match="handle"):
        check(nameless, known(nameless))
    # Where it is known who signs, a security key need not say it.
    check(nameless, known(nameless), by_handle=False)
    with pytest.raises(InvalidResponse, match="handle"):
        check(passkey, known(passkey, user_handle=bytes(32)), by_handle=False)


@pytest.mark.parametrize("eligible", [False, True])
def test_a_passkey_cannot_become_eligible_for_backups_or_stop_being_so(eligible: bool) -> None:
    flags = PRESENT | VERIFIED | (0 if eligible else ELIGIBLE)
    passkey = new_passkey(flags=flags, user_handle=HANDLE)
    with pytest.raises(InvalidResponse, match="eligib"):
        check(passkey, known(passkey, backup_eligible=eligible))


def test_a_signature_by_another_key_is_rejected() -> None:
    passkey, other = new_passkey(user_handle=HANDLE), new_passkey()
    with pytest.raises(InvalidResponse, match="signature"):
        check(passkey, known(other))


def test_a_signature_does_not_cover_other_data() -> None:
    passkey = new_passkey(user_handle=HANDLE)
    sent = read_assertion(passkey.sign(OPTIONS))
    raised = sent.authenticator_data[:33] + (99).to_bytes(4, "big")
    changed = Assertion(sent.credential_id, sent.client_data, raised, sent.signature, HANDLE)
    with pytest.raises(InvalidResponse, match="signature"):
        verification.verify_assertion(
            PARTY, changed, known(passkey), challenge=CHALLENGE, needs_user_handle=True
        )


@pytest.mark.parametrize("length", [0, 1024])
def test_the_length_of_a_credential_id_is_limited(length: int) -> None:
    with pytest.raises(InvalidResponse, match="length"):
        register(new_passkey(id=bytes(length)))
    assert len(register(new_passkey(id=bytes(1023))).credential_id) == 1023


def test_the_credential_id_is_the_one_that_was_attested() -> None:
    sent = read_registration(new_passkey().register(OPTIONS))
    other = Registration(bytes(32), sent.client_data, sent.attestation_object)
    with pytest.raises(InvalidResponse, match="id"):
        verification.verify_registration(PARTY, other, challenge=CHALLENGE)


KEYS: dict[str, Callable[[dict[int, Any]], Any]] = {
    "a point off the curve": lambda key: {**key, -3: bytes(32)},
    "another curve": lambda key: {**key, -1: 3},
    "no x": lambda key: {name: key[name] for name in key if name != -2},
    "text for x": lambda key: {**key, -2: "x"},
    "an algorithm that was not offered": lambda key: {**key, 3: -47, -1: 8},
    "SHA-1": lambda _: {1: 3, 3: -65535, -1: bytes([1]) * 256, -2: b"\x01\x00\x01"},
    "an unknown algorithm": lambda key: {**key, 3: 4711},
    "a huge key": lambda _: {1: 3, 3: -257, -1: b"\xff" * 2048, -2: b"\x01\x00\x01"},
    "no map": lambda _: [1, 2],
}


@pytest.mark.parametrize("change", KEYS.values(), ids=KEYS)
def test_a_key_that_can_verify_nothing_is_not_stored(
    change: Callable[[dict[int, Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = change(dict(new_passkey().cose_key))
    monkeypatch.setattr(Passkey, "cose_key", key)
    with pytest.raises(InvalidResponse):
        register(new_passkey())


ODD = {
    "nothing": b"",
    "text": b"\xff\xfe",
    "no object": b"[]",
    "a number": b"7",
    "deep": b"[" * 20_000,
    "deep CBOR": b"\x81" * 20_000,
    "a long list in CBOR": b"\x9b" + b"\xff" * 8,
    "names alone": json.dumps({"type": [], "challenge": {}, "origin": 1}).encode(),
    "a map with odd keys": b"\xa1\x80\x01",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_malformed_is_rejected_and_raises_nothing_else(odd: bytes) -> None:
    passkey = new_passkey(user_handle=HANDLE)
    created, signed = (
        read_registration(passkey.register(OPTIONS)),
        read_assertion(passkey.sign(OPTIONS)),
    )
    for registration in (
        Registration(passkey.id, odd, created.attestation_object),
        Registration(passkey.id, created.client_data, odd),
    ):
        with pytest.raises(InvalidResponse):
            verification.verify_registration(PARTY, registration, challenge=CHALLENGE)
    for assertion in (
        Assertion(passkey.id, odd, signed.authenticator_data, signed.signature, HANDLE),
        Assertion(passkey.id, signed.client_data, odd, signed.signature, HANDLE),
        Assertion(passkey.id, signed.client_data, signed.authenticator_data, odd, HANDLE),
    ):
        with pytest.raises(InvalidResponse):
            verification.verify_assertion(
                PARTY, assertion, known(passkey), challenge=CHALLENGE, needs_user_handle=True
            )
    with pytest.raises(InvalidResponse):
        verification.read_challenge(odd)


def test_a_loopback_address_stands_for_localhost() -> None:
    party = RelyingParty.of(AuthenticationSettings(), "http://127.0.0.1:8123")
    assert party == RelyingParty("localhost", frozenset(["http://localhost:8123"]))


def test_the_settings_name_a_wider_domain_and_more_origins() -> None:
    app = "android:apk-key-hash:" + "x" * 43
    settings = AuthenticationSettings(
        passkey_rp_id="example.org",
        passkey_origins=f"https://app.example.org, {app}",  # type: ignore[arg-type]
    )
    party = RelyingParty.of(settings, "https://Login.example.org:443/auth")
    assert party.id == "example.org"
    assert party.origins == {"https://login.example.org", "https://app.example.org", app}


@pytest.mark.parametrize(
    "wrong",
    [
        {"passkey_rp_id": "https://example.org"},
        {"passkey_rp_id": "Example.org"},
        {"passkey_rp_id": "example.org:443"},
        {"passkey_origins": "https://app.example.org/"},
        {"passkey_origins": "*"},
        {"passkey_origins": "android:apk-key-hash:short"},
    ],
)
def test_a_wrong_domain_or_origin_is_no_setting(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"domain|origin|name each"):
        AuthenticationSettings(**wrong)
