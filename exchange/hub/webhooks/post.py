"""One POST to an agency's endpoint: HTTPS only, to a public address that was looked up once, and no further.

An agency chooses the address, so it must never lead into the operator's own network: the name is resolved
once, every address must be public, and the connection goes to one of those and no other (a name that answers
differently a moment later gains nothing). TLS checks the certificate for the name. Redirects are not
followed, the answer's body is not read, and after ten seconds it is over.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from exchange_schemas.errors import Malformed

CONNECT_S = 5
WHOLE_S = 10
URL_CHARS = 300
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What some versions of Python count as global: for the IETF's own protocols (one cloud's metadata among
# them), relays of 6to4, documentation; and the address of Azure's platform, global but never on the internet.
_BESIDES = tuple(
    map(
        ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20", "5f00::/16")
    )
)


class NotTold(Exception):
    """The endpoint did not take the message; says why in words that hold nothing of its answer."""


def check_url(url: str) -> str:
    """An endpoint's address. Raises: Malformed unless it is https, a name or public address, and plain."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Malformed("url: not a URL", field="url") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= URL_CHARS
    if not plain or parts.scheme != "https" or not host or parts.fragment or "@" in parts.netloc:
        raise Malformed("url: https://name/path without user name and fragment is needed", field="url")
    if port is not None and port != 443 and port < 1024:
        raise Malformed("url: port 443, or one of 1024 and more", field="url")
    with suppress(ValueError):
        if not public(ipaddress.ip_address(host)):
            raise Malformed("url: a public address is needed", field="url", rule="address")
    return url


def public(address: Address) -> bool:
    """Whether this is an address of the open internet, also behind IPv6's ways to write an IPv4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    if any(address in network for network in _BESIDES):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a name. Raises: NotTold when there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise NotTold("its name cannot be looked up") from None
    return [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]


@dataclass(frozen=True, slots=True)
class Poster:
    """Sends. `allowed` decides about an address, `find` resolves; tests give others of each."""

    allowed: Callable[[Address], bool] = public
    find: Callable[[str, int], list[Address]] = look_up
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """POST once. Raises: NotTold for anything but an answer of 200 to 299."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        addresses = self.find(host, port)
        if not addresses or not all(map(self.allowed, addresses)):
            raise NotTold("its name leads to an address that is not public")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with self._connected(host, port, addresses[0]) as connection:
                connection.request("POST", path, body, dict(headers))
                status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotTold(_why(error)) from None
        if not 200 <= status < 300:
            raise NotTold(f"it answered {status}")

    @contextmanager
    def _connected(self, host: str, port: int, address: Address) -> Iterator[http.client.HTTPConnection]:
        """A connection to this very address, with a certificate for the name, for ten seconds at most."""
        raw = socket.create_connection((str(address), port), timeout=CONNECT_S)
        with self.tls.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False) as secured:
            # Who sends a byte now and then would keep every time-out waiting: this ends it.
            end = threading.Timer(WHOLE_S, _cut, [secured])
            end.daemon = True
            end.start()
            try:
                secured.do_handshake()
                connection = http.client.HTTPConnection(host, port)
                connection.sock = secured
                yield connection
            finally:
                end.cancel()


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate cannot be verified"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return "it cannot be reached" if isinstance(error, OSError) else "its answer is not HTTP"
