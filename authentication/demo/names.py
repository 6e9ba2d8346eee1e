"""The names, clients and networks of the demo's users."""

_NAMES = (
    *("Ada", "Amir", "Anouk", "Bela", "Bjarne", "Chiara", "Dalia", "Emeka", "Eva", "Farid"),
    *("Greta", "Haruka", "Ines", "Ivan", "Jun", "Kofi", "Leila", "Mads", "Mira", "Nadia"),
    *("Noor", "Olga", "Pavel", "Quynh", "Rosa", "Samir", "Tove", "Uma", "Viktor", "Yara"),
)
_SURNAMES = (
    *("Abara", "Berg", "Castell", "Dahl", "Eklund", "Fontaine", "Gruber", "Haddad", "Iversen"),
    *("Jansen", "Kowal", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi"),
    *("Sato", "Tanaka", "Umar", "Vega", "Weiss", "Ximenes", "Yilmaz", "Zimmer"),
)

_MOZILLA = "Mozilla/5.0"
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
# Pairs of a client_id and a User-Agent header.
CLIENTS = (
    ("web", f"{_MOZILLA} (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    ("web", f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/142.0.0.0 Safari/537.36"),
    ("web", f"{_MOZILLA} (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    (
        "web",
        f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/26.1 Safari/605.1.15",
    ),
    (
        "phone",
        f"{_MOZILLA} (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
    ),
    (
        "phone",
        f"{_MOZILLA} (Linux; Android 10; K) {_WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36",
    ),
    ("mobile-app", "Example/3.2 (Android 16; Pixel 9)"),
    ("command-line", "curl/8.14.1"),
    ("nightly-import", "python-requests/2.32.5"),
    (None, None),
)

# Reserved for documentation (RFC 5737, RFC 3849), so they belong to nobody.
NETWORKS = ("192.0.2.{}", "198.51.100.{}", "203.0.113.{}", "2001:db8:{:x}::1")

API_KEY_NAMES = ("Nightly export", "Billing sync", "Dashboard", "Backup job")


def name_of(number: int) -> tuple[str, str]:
    """A name and a surname. The combinations repeat only after several hundred numbers."""
    repetition, name = divmod(number, len(_NAMES))
    return _NAMES[name], _SURNAMES[(7 * repetition + number) % len(_SURNAMES)]
