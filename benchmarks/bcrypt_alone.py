"""Prints how many passwords per second bcrypt alone checks, given seconds and threads."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from benchmarks.passwords import PASSWORD, ROUNDS


def checks_per_second(seconds: float) -> float:
    password, done = PASSWORD.encode(), 0
    hashed = bcrypt.hashpw(password, bcrypt.gensalt(ROUNDS))
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < seconds:
        bcrypt.checkpw(password, hashed)
        done += 1
    return done / elapsed


def main(seconds: float, threads: int) -> None:
    # bcrypt releases the interpreter lock, so threads use all cores, as they do in the service.
    with ThreadPoolExecutor(threads) as pool:
        print(sum(pool.map(checks_per_second, [seconds] * threads)))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
