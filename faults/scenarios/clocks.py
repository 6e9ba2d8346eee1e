"""The clocks of the nodes that share a database disagree."""

import time
from pathlib import Path

from faults.calls import Caller, read_tokens
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, sign_up

LIFETIME = 4
_LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


@scenario("F14", "two nodes, the clock of one an hour fast, an hour slow, or set back by two hours")
def clocks_apart(stage: Stage) -> Seen:
    url = stage.database()
    clock = stage.folder() / "clock"
    clock.write_text("+1h")
    right = stage.serve(url, access_token_seconds=LIFETIME)
    wrong = stage.serve(url, access_token_seconds=LIFETIME, environment=_wrong_clock(clock))
    sign_up(right)
    too_long = too_short = resurrected = 0
    with Caller(right.url) as first, Caller(wrong.url) as second:
        for skew in ("+1h", "-1h"):
            # The second time round this is a step back by two hours of a running process.
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
    return Seen(
        not too_long and not too_short and not resurrected,
        f"of 4 tokens of {LIFETIME} s, issued and used on either node, {too_short} died early,"
        f" {too_long} lived longer; of 4 revoked ones {resurrected} came back",
    )


def _wrong_clock(clock: Path) -> dict[str, str]:
    """For libfaketime, Debian's package of that name."""
    (library,) = map(str, Path("/").glob(_LIBRARIES.lstrip("/")))
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # Deadlines are measured by the clock that nobody sets.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
