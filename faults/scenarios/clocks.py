"""The clocks of two nodes that share a database differ."""

import time
from pathlib import Path

from faults.calls import Caller, read_tokens
from faults.context import EMAIL, ScenarioContext, sign_up
from faults.registry import Outcome, scenario

LIFETIME = 4
_LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


@scenario("F14", "two nodes, the clock of one an hour fast, an hour slow, or set back by two hours")
def clock_skew(context: ScenarioContext) -> Outcome:
    url = context.database()
    clock = context.folder() / "clock"
    clock.write_text("+1h")
    right = context.serve(url, access_token_seconds=LIFETIME)
    wrong = context.serve(url, access_token_seconds=LIFETIME, environment=_wrong_clock(clock))
    sign_up(right)
    too_long = too_short = resurrected = 0
    with Caller(right.url) as first, Caller(wrong.url) as second:
        for skew in ("+1h", "-1h"):
            # In the second round this sets the clock of a running process back by two hours.
            clock.write_text(skew)
            for issuer, other in ((first, second), (second, first)):
                began = time.monotonic()
                token = read_tokens(issuer.log_in(EMAIL)).access_token
                issued = time.monotonic()
                used = [issuer.use(token), other.use(token)]
                too_short += any(
                    answer.status != 200 and answer.ended < began + LIFETIME for answer in used
                )
                ended = read_tokens(issuer.log_in(EMAIL)).access_token
                issuer.log_out(ended)
                time.sleep(max(0.0, issued + LIFETIME + 0.2 - time.monotonic()))
                too_long += [issuer.use(token).status, other.use(token).status] != [401, 401]
                resurrected += [issuer.use(ended).status, other.use(ended).status] != [401, 401]
    return Outcome(
        not too_long and not too_short and not resurrected,
        f"of 4 tokens of {LIFETIME} s, issued and used on either node, {too_short} expired early,"
        f" {too_long} late; of 4 revoked ones {resurrected} were accepted",
    )


def _wrong_clock(clock: Path) -> dict[str, str]:
    """The environment for libfaketime, from Debian's package of that name."""
    (library,) = map(str, Path("/").glob(_LIBRARIES.lstrip("/")))
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # Deadlines use the monotonic clock, which cannot be set.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
