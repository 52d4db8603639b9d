"""The client's address: the peer's, unless the peer is a proxy that the operator trusts."""

from ipaddress import ip_network

import pytest

from exchange.hub.api.address import UNKNOWN, client_address

PROXIES = (ip_network("10.0.0.0/24"), ip_network("fd00::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "shown"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        # Anybody can write the header; only a trusted peer is asked for it.
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.5", None, "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7", "198.51.100.7"),
        # What the client itself wrote stands first and is not believed.
        ("10.0.0.5", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "203.0.113.9, 198.51.100.7, 10.0.0.6", "198.51.100.7"),
        ("10.0.0.5", "10.0.0.7,10.0.0.6", "10.0.0.7"),
        ("fd00::1", "198.51.100.7", "198.51.100.7"),
        # What is no address ends the search.
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "nonsense", "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7, nonsense", "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7:4711", "10.0.0.5"),
        ("10.0.0.5", "1" * 10_000, "10.0.0.5"),
        # One host can have a whole /64.
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", None, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
        ("10.0.0.5", "2001:db8::1", "2001:db8::/64"),
        (None, None, UNKNOWN),
        ("", "198.51.100.7", UNKNOWN),
        ("/run/hub.sock", "198.51.100.7", UNKNOWN),
    ],
)
def test_the_address_that_counts(peer: str | None, forwarded: str | None, shown: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == shown


def test_nobody_is_trusted_by_default() -> None:
    assert client_address("10.0.0.5", "198.51.100.7", ()) == "10.0.0.5"


def test_a_chain_of_any_length_is_read_in_bounded_work() -> None:
    chain = ", ".join(["198.51.100.7"] + ["10.0.0.6"] * 1000)
    assert client_address("10.0.0.5", chain, PROXIES) == "10.0.0.6"
