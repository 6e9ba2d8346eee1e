"""Where somebody acts from."""

import pytest

from authentication.audit import Origin


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ("::1", "::/64"),
        (None, None),
    ],
)
def test_a_network_is_an_ipv4_address_or_a_64_of_ipv6(ip: str | None, network: str | None) -> None:
    assert Origin(ip=ip).network == network
    assert Origin(ip=ip).acting_as("user:1").network == network
