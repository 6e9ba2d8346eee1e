"""Scenario: logins per second, relative to what bcrypt alone reaches on the same cores."""

import os
import subprocess
import sys
from dataclasses import replace

from benchmarks import product
from benchmarks.figures import figure_of, figures_of_series
from benchmarks.lookup import make_subject
from benchmarks.messages import post_json
from benchmarks.options import ROOT, Options
from benchmarks.passwords import PASSWORD, hash_password
from benchmarks.results import Result
from benchmarks.rounds import CONTROL, Subject, run_rounds
from benchmarks.servers import clean_environment
from benchmarks.targets import make_target
from benchmarks.workspace import Workspace
from benchmarks.wrk import Run

BCRYPT = "bcrypt"
LOGIN = "login"
USERS = 1_000
# Enough that a password is always waiting to be hashed, few enough that none exceeds the deadline.
CONNECTIONS = 6
# At about six logins per second, a run of a few seconds would count too few of them.
LONGER = 4
# The throttle would limit so many logins from one address.
SETTINGS = {"COUNTERFOIL_LOGIN_THROTTLE": "off"}


def run(work: Workspace, result: Result) -> None:
    bcrypt, control = (Subject(name, measure_bcrypt) for name in (BCRYPT, CONTROL))
    series = run_rounds(bcrypt, [set_up_login(work), control], lengthen(work.options))
    result.add_series(series)
    for one in series:
        result.figures |= figures_of_series(one)
        ratios = [block.pairs[LOGIN].ratio("requests_per_second") for block in one.kept]
        result.figures["login.of_bcrypt"] = figure_of(ratios)


def lengthen(options: Options) -> Options:
    return replace(options, connections=(CONNECTIONS,), seconds=options.seconds * LONGER)


def set_up_login(work: Workspace) -> Subject:
    hashed = hash_password()
    database = product.set_up_product(
        work, "login", USERS, USERS, sample=10, hashed_password=hashed
    )
    server = product.start_product(work, database, settings=SETTINGS)
    requests = [
        post_json("/login", {"email": f"user{i}@example.org", "password": PASSWORD})
        for i in range(1, USERS + 1)
    ]
    return make_subject(work, make_target(work.folder, LOGIN, server, requests))


def measure_bcrypt(connections: int, seconds: float) -> Run:
    """Measure bcrypt in a separate process, with one thread per core."""
    del connections
    threads = len(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bcrypt_alone", str(seconds), str(threads)],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    unknown = float("nan")
    return Run(BCRYPT, float(done.stdout), unknown, unknown, unknown, unknown, None)
