"""One section of the report for each scenario."""

import textwrap
from collections.abc import Callable, Sequence

from benchmarks import peer_setup, product, setups, standbys
from benchmarks.figures import Figures
from benchmarks.results import Result
from benchmarks.rounds import CONTROL
from benchmarks.tables import cell, number, table

TITLES = {
    "lookup": "Checking a token",
    "setups": "Other set-ups",
    "growth": "Growth of the token table",
    "pruning": "Housekeeping at 10 million sessions",
    "standbys": "Lookups on standbys",
    "login": "Login",
    "refresh": "Refresh",
    "mixed": "A mixed load",
    "revocation": "Revocation under load",
}
LABELS = peer_setup.LABELS | product.LABELS


def write(result: Result) -> list[str]:
    lines = [f"## {TITLES[result.scenario]}", "", describe(result), ""]
    lines += WRITERS[result.scenario](result)
    for note in result.notes:
        lines += [note, ""]
    return lines


def describe(result: Result) -> str:
    machine, options = result.machine, result.options
    versions = machine["ours"] | machine["peers"] | machine["ours"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    facts = (
        f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}; {packages}. "
        f"{options['rounds']} rounds with runs of {options['seconds']:g} s; "
        f"{len(result.dropped)} rounds dropped. Measured on {result.at[:10]}."
    )
    return textwrap.fill(facts, 100, break_on_hyphens=False)


def write_lookup(result: Result) -> list[str]:
    figures, connections = result.figures, result.options["connections"]
    names = targets_of(figures)
    lines = [
        f"{result.options['rows']:,} tokens. The control and each target, relative to the ceiling:",
        "",
    ]
    lines += ratio_table("requests", "requests per second", names, connections, figures)
    lines += ratio_table("cpu", "CPU of the server per request", names, connections, figures)
    lines += ratio_table("p99", "99th percentile of latency", names, connections, figures)
    lines += against_table(connections, figures)
    lines += absolute_table(names, connections, figures)
    return lines + server_table(figures) + plots("lookup-requests", "lookup-latency")


def targets_of(figures: Figures) -> list[str]:
    """The targets in the order of the labels: control, peers, product."""
    found = {name.partition(".")[0] for name in figures if ".of_ceiling." in name}
    return [name for name in LABELS if name in found]


def ratio_table(
    figure: str, title: str, names: Sequence[str], connections: Sequence[int], figures: Figures
) -> list[str]:
    head = [f"{title}, relative to the ceiling", *(f"{number} conn." for number in connections)]
    rows = [
        [LABELS[name], *(cell(figures, f"{name}.of_ceiling.{figure}.{one}") for one in connections)]
        for name in names
    ]
    return table(head, rows)


def against_table(connections: Sequence[int], figures: Figures) -> list[str]:
    """The product's routes against each peer, both relative to the ceiling beside them."""
    tables = []
    for ours in product.ROUTES:
        head = [f"{LABELS[ours]}, relative to", *(f"{number} conn." for number in connections)]
        rows = [
            [LABELS[peer], *(cell(figures, f"{ours}.against.{peer}.{one}") for one in connections)]
            for peer in peer_setup.PEERS
            if f"{ours}.against.{peer}.{connections[0]}" in figures
        ]
        tables += table(head, rows) if rows else []
    return tables


ABSOLUTE = {
    "requests_per_second": "req/s",
    "p50": "p50, ms",
    "p99": "p99, ms",
    "server_cpu": "server CPU, s per 1,000",
    "postgres_cpu": "PostgreSQL CPU, s per 1,000",
}


def absolute_table(names: Sequence[str], connections: Sequence[int], figures: Figures) -> list[str]:
    """For orientation only: these figures depend on the machine and its noise."""
    rows = [
        [f"{LABELS[name]}, {one} conn."]
        + [cell(figures, f"{name}.{figure}.{one}", ranges=False) for figure in ABSOLUTE]
        for name in (peer_setup.CEILING, *names)
        if name != CONTROL
        for one in connections
    ]
    return [
        "Absolute figures, for orientation (medians):",
        "",
        *table(["", *ABSOLUTE.values()], rows),
    ]


def server_table(figures: Figures) -> list[str]:
    head = ["server", "RSS, MB", "PSS, MB", "time to start, s"]
    servers = [name.rpartition(".")[0] for name in figures if name.endswith(".memory")]
    kinds = ("memory", "memory_pss", "seconds_to_serve")
    rows = [[name, *(cell(figures, f"{name}.{kind}") for kind in kinds)] for name in servers]
    return table(head, rows)


def write_growth(result: Result) -> list[str]:
    figures = result.figures
    found = {name.partition(".")[0] for name in figures if name.startswith("growth-")}
    sizes = sorted(int(name.rpartition("-")[2]) for name in found)
    connections = sorted(
        {int(n.rpartition(".")[2]) for n in figures if ".of_ceiling.requests." in n}
    )
    head = [
        "tokens",
        *(f"relative to the ceiling, {one} conn." for one in connections),
        "inserts/s",
    ]
    rows = [
        [f"{size:,}"]
        + [cell(figures, f"growth-{size}.of_ceiling.requests.{one}") for one in connections]
        + [cell(figures, f"growth.{size}.inserts_per_second")]
        for size in sizes
    ]
    lines = [*table(head, rows), *plots("growth")]
    lines += ["An insert is a session, an access token and a refresh token in one transaction,"]
    lines += ["with a PostgreSQL that does not wait for the disk (`fsync=off`).", ""]
    for title, plan in result.texts.items():
        lines += [f"The {title}:", "", "```text", plan, "```", ""]
    return lines


def write_pruning(result: Result) -> list[str]:
    figures = result.figures
    parts = {"ended": "sessions that expired or were revoked", "scan": "a scan for old epochs"}
    rows = [
        [title, cell(figures, f"pruning.{part}.sessions"), cell(figures, f"pruning.{part}.seconds")]
        for part, title in parts.items()
    ]
    beside = [cell(figures, f"pruning.of_calm.{percentile}") for percentile in ("p50", "p99")]
    return [
        *table(["deleted by `prune`", "sessions", "seconds"], rows),
        "While the service prunes by itself, latencies of token checks relative to before and",
        f"after: median {beside[0]}, 99th percentile {beside[1]}.",
        f"Of {cell(figures, 'pruning.updates')} updates of `last_used_at`, the share",
        f"{cell(figures, 'pruning.hot_share')} changed no index.",
        "",
    ]


def write_standbys(result: Result) -> list[str]:
    figures = result.figures
    rows = [
        [
            f"{title}, {connections} connections",
            cell(figures, f"{target}.server_cpu.{connections}", ranges=False),
            cell(figures, f"{target}.postgres_cpu.{connections}", ranges=False),
            cell(figures, f"standbys.standby_cpu.{connections}", ranges=False)
            if target == standbys.BESIDE_STANDBYS
            else "-",
        ]
        for connections in result.options["connections"]
        for target, title in (
            (standbys.DIRECT, "the primary answers"),
            (standbys.BESIDE_STANDBYS, f"{standbys.STANDBYS} standbys answer"),
        )
    ]
    ratios = (
        f"{cell(figures, f'standbys.of_direct.requests.{connections}')} at {connections}"
        for connections in result.options["connections"]
    )
    return [
        *table(["processor seconds of 1,000 requests", "service", "primary", "standbys"], rows),
        "Requests per second, relative to those without standbys, with all servers on these cores:",
        f"{', '.join(ratios)}. A login writes {cell(figures, 'standbys.log_bytes')} bytes to the",
        "write-ahead log of the primary, mostly images of pages after a checkpoint.",
        "",
    ]


def write_login(result: Result) -> list[str]:
    ratio = cell(result.figures, "login.of_bcrypt")
    rates = {name: rate_of(result.figures, name) for name in ("login", "bcrypt")}
    control = cell(result.figures, f"{CONTROL}.of_ceiling.requests.{login_connections(result)}")
    return [
        f"Logins at cost 12, relative to bcrypt alone on the same cores: {ratio}",
        f"(control, bcrypt against itself: {control}). For orientation:",
        f"{rates['login']} logins per second, {rates['bcrypt']} hashes per second.",
        "",
    ]


def write_refresh(result: Result) -> list[str]:
    figures = result.figures
    service, database = (
        cell(figures, f"refresh.{part}.milliseconds") for part in ("service", "postgresql")
    )
    return [
        f"A refresh takes {service} ms of processor time of the service and {database} ms of",
        f"PostgreSQL's: {cell(figures, 'refresh.per_second')} refreshes per second of one worker.",
        "",
    ]


def write_setups(result: Result) -> list[str]:
    figures, connections = result.figures, result.options["connections"]
    head = ["requests per second, relative to the service as shipped"]
    head += [f"{number} conn." for number in connections]
    rows = [
        [
            setups.LABELS[name],
            *(cell(figures, f"{name}.of_ceiling.requests.{one}") for one in connections),
        ]
        for name in setups.names(list(figures))
    ]
    return table(head, rows)


def login_connections(result: Result) -> str:
    stem = f"{CONTROL}.every_round."
    return next(name.removeprefix(stem) for name in result.figures if name.startswith(stem))


def rate_of(figures: Figures, name: str) -> str:
    stem = f"{'ceiling' if name == 'bcrypt' else name}.requests_per_second."
    return next((number(f.median) for key, f in figures.items() if key.startswith(stem)), "-")


def write_mixed(result: Result) -> list[str]:
    figures = result.figures
    head = ["latency in ms", "p50", "p99"]
    kinds = {
        "alone.check": "token checks, nothing else running",
        "mixed.check": "token checks in the mix (95 %)",
        "mixed.refresh": "refreshes in the mix (4 %)",
        "mixed.login": "logins in the mix (1 %)",
        "mixed.of_alone": "token checks, relative to those alone",
    }
    rows = [
        [label, *(cell(figures, f"{kind}.{rank}") for rank in ("p50", "p99"))]
        for kind, label in kinds.items()
    ]
    return [
        "200 requests per second at fixed times, independent of the duration of the responses.",
        "",
        *table(head, rows),
    ]


def write_revocation(result: Result) -> list[str]:
    figures = result.figures
    count, accepted, late = (
        f"{figures[f'revocation.{name}'].median:,.0f}" for name in ("tokens", "accepted", "late")
    )
    stem, tail = "revocation.", ".p50"
    methods = [name[len(stem) : -len(tail)] for name in figures if name.endswith(tail)]
    head = ["from the acknowledgement to the first 401, ms", "tokens", "p50", "p99", "longest"]
    rows = [
        [
            method,
            *(cell(figures, f"{stem}{method}.{name}") for name in ("tokens", "p50", "p99", "max")),
        ]
        for method in methods
    ]
    return [
        f"{count} tokens were revoked while 64 connections used them, on 2 workers: {accepted}",
        f"responses 200, **{late}** of them to requests begun after the acknowledged revocation.",
        "",
        *table(head, rows),
    ]


def plots(*names: str) -> list[str]:
    return [line for name in names for line in (f"![{name}](performance-{name}.svg)", "")]


WRITERS: dict[str, Callable[[Result], list[str]]] = {
    "lookup": write_lookup,
    "growth": write_growth,
    "pruning": write_pruning,
    "standbys": write_standbys,
    "login": write_login,
    "refresh": write_refresh,
    "setups": write_setups,
    "mixed": write_mixed,
    "revocation": write_revocation,
}
