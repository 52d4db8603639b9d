"""Where a request comes from, for rate limits only: the peer, or what a trusted proxy says of it.

X-Forwarded-For is text from anybody. It is read only when the peer is one of the proxies named in the
settings, and then from its end: each trusted proxy vouches for the one before it, and for nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network
UNKNOWN: Final = "unknown"
_MOST_HOPS: Final = 16
_V6_PREFIX: Final = 64


def client_address(peer: str | None, forwarded: str | None, proxies: Sequence[Network]) -> str:
    """The client's address in its one form; an IPv6 one as its /64, which is what one host can have.

    `peer` is the other end of the connection, `forwarded` the header X-Forwarded-For, both as they came.
    """
    found = _parsed(peer)
    if found is None:
        return UNKNOWN
    if proxies and forwarded is not None:
        for hop in reversed(forwarded.split(",")[-_MOST_HOPS:]):
            if not _within(found, proxies):
                break
            before = _parsed(hop.strip())
            if before is None:
                break
            found = before
    return _shown(found)


def _parsed(text: str | None) -> IPv4Address | IPv6Address | None:
    if text is None or len(text) > 45:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _within(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _shown(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _V6_PREFIX), strict=False))
