"""Hashes and checks passwords, away from everything that must stay quick.

bcrypt takes a quarter of a second of a core, on purpose. It runs in a few threads of its own at low
priority, so that token checks go first; past a bounded queue logins are refused.
"""

import asyncio
import os
import threading
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol, TypeVar

from authentication.errors import HashingBusy, WeakPassword
from authentication.observer import NOBODY, Observer
from authentication.settings import AuthenticationSettings

with warnings.catch_warnings():
    # passlib imports the standard library's crypt, which Python 3.13 has dropped.
    warnings.simplefilter("ignore", DeprecationWarning)
    from passlib.context import CryptContext

MAX_LENGTH = 1024
_CONTEXT_WORDS = ("counterfoil",)
_LOWER_PRIORITY = 10

# A hash that no password has been found for, so that checking one costs what it always costs.
# passlib's dummy_verify() makes such a hash first, which takes the time of a login at every start.
_NOBODYS_HASH = f"$bcrypt-sha256$v=2,t=2b,r={{rounds}}${'.' * 22}${'.' * 31}"

T = TypeVar("T")


class PasswordHasher:
    """bcrypt over SHA-256, which neither cuts a password at 72 bytes nor stumbles over NUL.

    Plain bcrypt hashes, such as an administrator inserts by SQL, are accepted and reported as due
    for an upgrade.
    """

    def __init__(self, settings: AuthenticationSettings) -> None:
        self._context = CryptContext(
            ["bcrypt_sha256", "bcrypt"],
            deprecated="auto",
            bcrypt_sha256__default_rounds=settings.bcrypt_rounds,
            # A hash that cost more, as where the setting differs between two nodes, stays.
            bcrypt_sha256__min_rounds=settings.bcrypt_rounds,
        )
        self._nobodys_hash = _NOBODYS_HASH.format(rounds=settings.bcrypt_rounds)

    def hash(self, password: str) -> str:
        """The hash to store. NFKC first, so that one password typed on two systems is one."""
        hashed: str = self._context.hash(_normalise(password))
        return hashed

    def verify(
        self, password: str, hashed: str | None, *, upgrade: bool = True
    ) -> tuple[bool, str | None]:
        """Whether the password is right, and a better hash to store if there is one.

        Without a hash, as for an unknown user, it takes the time that it would take with one. A
        better hash takes as long again, so that `upgrade` is for those who will be let in.
        """
        # Longer ones were never stored, and to normalise them takes the interpreter too long.
        if hashed is None or len(password) > MAX_LENGTH:
            return self._refuse()
        try:
            if upgrade:
                return self._context.verify_and_update(_normalise(password), hashed)
            return self._context.verify(_normalise(password), hashed), None
        except ValueError:
            # Plain bcrypt refuses NUL; an administrator may have stored something else altogether.
            return self._refuse()

    def _refuse(self) -> tuple[bool, None]:
        # Whatever was sent: it may be what bcrypt refuses.
        self._context.verify("", self._nobodys_hash)
        return False, None


class HashingThreads:
    """A few threads at low priority, with a bounded queue."""

    def __init__(self, settings: AuthenticationSettings, observer: Observer = NOBODY) -> None:
        self._observer = observer
        self._places = threading.BoundedSemaphore(settings.hashing_threads + settings.hashing_queue)
        self._threads = ThreadPoolExecutor(
            settings.hashing_threads, thread_name_prefix="hashing", initializer=_lower_priority
        )

    @contextmanager
    def reserve(self) -> Iterator["HashingPlace"]:
        """A place in the queue, to be had before anything else is done. Raises HashingBusy."""
        if not self._places.acquire(blocking=False):
            self._observer.hashing_refused()
            raise HashingBusy
        place = HashingPlace(self._submit)
        try:
            yield place
        finally:
            place.leave(self._places.release)

    async def run(self, work: Callable[[], T]) -> T:
        """Do one piece of work. Raises HashingBusy instead of queueing past the limit."""
        with self.reserve() as place:
            return await place.run(work)

    def _submit(self, work: Callable[[], Any]) -> Future[Any]:
        self._observer.hashing_queued()
        return self._threads.submit(self._do, work, time.perf_counter())

    def _do(self, work: Callable[[], T], queued_at: float) -> T:
        began = time.perf_counter()
        self._observer.hashing_began(waited=began - queued_at)
        try:
            return work()
        finally:
            self._observer.hashed(seconds=time.perf_counter() - began)

    def close(self) -> None:
        """Drop what has not begun."""
        self._threads.shutdown(cancel_futures=True)


class HashingPlace:
    """One of the places in the queue, good for one piece of work at a time."""

    def __init__(self, submit: Callable[[Callable[[], Any]], Future[Any]]) -> None:
        self._submit = submit
        self._running: Future[Any] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Wait for a thread, and for the work to be done there."""
        future = self._submit(work)
        self._running = future
        return await asyncio.wrap_future(future)

    def leave(self, release: Callable[[], None]) -> None:
        """Make room, but not while the work goes on for a client that has hung up."""
        if self._running is None:
            release()
        else:
            self._running.add_done_callback(lambda _: release())


class Person(Protocol):
    """An account, there already or about to be made."""

    @property
    def username(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def surname(self) -> str | None: ...


def known_of(email: str, person: Person) -> tuple[str | None, ...]:
    """What others know of a person, and will try first."""
    full_name = f"{person.name} {person.surname}" if person.surname else None
    return (
        email,
        email.partition("@")[0],
        person.username,
        person.name,
        person.surname,
        full_name,
    )


def refuse_weak(
    password: str,
    *,
    settings: AuthenticationSettings,
    context: tuple[str | None, ...] = (),
    field: str = "password",
) -> None:
    """Raises WeakPassword with the reason. `context` is what others know of the user.

    A minimum length and a blocklist, and no rules of composition (NIST SP 800-63B-4, 3.1.1.2).
    """
    reason = _unfit_length(password, settings.password_min_length)
    if reason is None:
        reason = _weakness(_normalise(password).casefold(), context)
    if reason is not None:
        raise WeakPassword(reason, field=field)


def _unfit_length(password: str, min_length: int) -> str | None:
    # One that is too long as it was sent is not even normalised: that could take a second.
    lengths = [len(password)]
    if len(password) <= MAX_LENGTH:
        # A single character may stand for many, and many may make one.
        lengths.append(len(_normalise(password)))
    if max(lengths) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH:,} characters."
    if min(lengths) < min_length:
        return f"Use at least {min_length} characters."
    return None


def _weakness(folded: str, context: tuple[str | None, ...]) -> str | None:
    spellings = {folded, _repeated_unit(folded)}
    if spellings & {word.casefold() for word in (*_CONTEXT_WORDS, *context) if word}:
        return "Do not use your name, your address or the name of this service."
    if spellings & _common_passwords() or min(map(len, spellings)) <= 2:
        return "This password is among the most common ones. Choose another."
    return None


def _normalise(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _repeated_unit(text: str) -> str:
    """The shortest piece that makes up the text by repetition: "abc" for "abcabc"."""
    return text[: (text + text).index(text, 1)]


@cache
def _common_passwords() -> frozenset[str]:
    # Imported when first needed: the lists take a noticeable part of the time to start.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def _lower_priority() -> None:
    # On Linux, niceness belongs to the thread.
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER_PRIORITY)
