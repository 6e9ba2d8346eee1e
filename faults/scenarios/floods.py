"""Logins by the hundred, while others go on with the tokens they have."""

import json
import multiprocessing
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from multiprocessing.queues import Queue
from urllib.parse import urlsplit

from faults.calls import Caller
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, sign_up

PER_SECOND = 200
ROUND_SECONDS = 4.0
ROUNDS = 5

# Which name and which address the n-th login of a flood uses.
Attack = Callable[[int], tuple[str, str]]


def one_account(_number: int) -> tuple[str, str]:
    return EMAIL, "198.51.100.7"


def many_accounts(number: int) -> tuple[str, str]:
    return f"user{number}@example.org", "198.51.100.7"


def many_sources(number: int) -> tuple[str, str]:
    # The networks that are set aside for measuring, 198.18.0.0/15.
    address = ip_address("198.18.0.0") + number % 131_072
    return f"user{number}@example.org", str(address)


@scenario("F20", "200 logins/s at one account from one address")
def flood_at_one_account(stage: Stage) -> Seen:
    return _flood(stage, one_account)


@scenario("F20", "200 logins/s at as many accounts, from one address")
def flood_at_many_accounts(stage: Stage) -> Seen:
    return _flood(stage, many_accounts)


@scenario("F20", "200 logins/s at as many accounts, from as many addresses")
def flood_from_many_sources(stage: Stage) -> Seen:
    return _flood(stage, many_sources)


def _flood(stage: Stage, attack: Attack) -> Seen:
    """Calm and flood in turn, so that what else the machine does weighs on both alike."""
    service = stage.serve(stage.database(), bcrypt_rounds=12, trusted_proxies="127.0.0.1")
    token = sign_up(service).access_token
    ratios, answers, entered = [], Counter[str](), []
    for number in range(ROUNDS):
        calm = _p99(service.url, token)
        with _flooding(service.url, attack, number, answers):
            time.sleep(0.5)
            ratios.append(_p99(service.url, token) / calm)
            entered.append(_owner_enters(service.url))
    ratio = statistics.median(ratios)
    refused = answers["429"] + answers["503"]
    held = ratio < 2 and refused > 0 and not answers["500"] and not answers["broken"]
    return Seen(
        held and (attack is many_sources or any(entered)),
        f"p99 of GET /users/me {ratio:.2f} times that of a calm service"
        f" ({', '.join(f'{one:.2f}' for one in sorted(ratios))});"
        f" {sum(answers.values())} logins: {dict(sorted(answers.items()))};"
        f" the owner entered {sum(entered)} times of {ROUNDS}",
    )


def _p99(url: str, token: str) -> float:
    """Seconds, of a client that asks some 100 times a second."""
    taken, end = [], time.monotonic() + ROUND_SECONDS
    with Caller(url) as caller:
        while time.monotonic() < end:
            answer = caller.use(token)
            if answer.status != 200:
                raise RuntimeError(f"a token check was answered by {answer.status}")
            taken.append(answer.seconds)
            time.sleep(0.005)
    return statistics.quantiles(taken, n=100)[98]


def _owner_enters(url: str) -> bool:
    """From where the account was made, trying for as long as the service says it is busy."""
    for _ in range(20):
        with Caller(url) as caller:
            if (answer := caller.log_in(EMAIL)).status != 503:
                return answer.status == 200
        time.sleep(0.2)
    return False


@contextmanager
def _flooding(url: str, attack: Attack, number: int, answers: Counter[str]) -> Iterator[None]:
    """From a process of its own, so that its work does not delay ours."""
    context = multiprocessing.get_context("spawn")
    over, results = context.Event(), context.Queue()
    flood = context.Process(target=_attack, args=(url, attack, number * 100_000, over, results))
    flood.start()
    try:
        results.get()
        yield
    finally:
        over.set()
        answers.update(results.get(timeout=60))
        flood.join()


def _attack(
    url: str, attack: Attack, first: int, over: threading.Event, results: "Queue[Counter[str]]"
) -> None:
    answers, lock = Counter[str](), threading.Lock()
    numbers = iter(range(first, first + 10**9))
    begin = time.monotonic()

    def run() -> None:
        http = HTTPConnection(str(urlsplit(url).hostname), urlsplit(url).port, timeout=30)
        while not over.is_set():
            with lock:
                number = next(numbers)
            time.sleep(max(0.0, begin + (number - first) / PER_SECOND - time.monotonic()))
            status = _guess(http, *attack(number))
            with lock:
                answers[status] += 1

    threads = [threading.Thread(target=run) for _ in range(40)]
    for thread in threads:
        thread.start()
    results.put(Counter())
    for thread in threads:
        thread.join()
    results.put(answers)


def _guess(http: HTTPConnection, name: str, address: str) -> str:
    body = json.dumps({"username": name, "password": "wrong"})
    headers = {"Content-Type": "application/json", "X-Forwarded-For": address}
    try:
        http.request("POST", "/login", body, headers)
        response = http.getresponse()
        response.read()
    except (OSError, HTTPException):
        http.close()
        return "broken"
    return str(response.status)
