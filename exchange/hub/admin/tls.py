"""How `serve` may be reached: over TLS that it ends itself, or in plain HTTP by a proxy on this machine.

Everything is read and tried before the first worker starts. It must never let a production hub speak plain
HTTP to a network, nor use a key that other users of the machine can read.
"""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from exchange.hub.settings import PREFIX, Settings
from exchange_schemas.errors import ConfigInvalid

_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the certificate with its chain, its key, and whose clients alone may connect, if any."""

    certificate: Path
    key: Path
    client_ca: Path | None


def tls_of(settings: Settings, host: str) -> Tls | None:
    """The files to serve `host` with, tried; None for plain HTTP.

    Raises: ConfigInvalid when a file is of no use, or when plain HTTP would leave this machine in production.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        if settings.environment == "production" and not _on_this_machine(host):
            raise ConfigInvalid(
                f"plain HTTP on {host} would leave this machine, which production refuses",
                field=f"{PREFIX}TLS_CERTIFICATE",
                hint="set HOMEWARD_TLS_CERTIFICATE and HOMEWARD_TLS_KEY, or listen on 127.0.0.1 for a proxy",
            )
        return None
    _check_pair(settings.tls_certificate, settings.tls_key)
    if settings.tls_client_ca is not None:
        _check_ca(settings.tls_client_ca)
    return Tls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def renewal(files: Callable[[], object], refused: Callable[[ConfigInvalid], None]) -> Callable[[], None]:
    """What a server runs once its signal handlers are set: SIGHUP reaches it only when the files are of use.

    It would replace its workers by some that cannot start. `files` tries them and raises ConfigInvalid.
    """

    def guard() -> None:
        renew = signal.getsignal(signal.SIGHUP)

        def hung_up(number: int, frame: FrameType | None) -> None:
            try:
                files()
            except ConfigInvalid as error:
                refused(error)
                return
            if callable(renew):
                renew(number, frame)

        signal.signal(signal.SIGHUP, hung_up)

    return guard


def _on_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_pair(certificate: Path, key: Path) -> None:
    try:
        if key.stat().st_mode & _OTHERS:
            _refuse("TLS_KEY", f"{key} can be read by others", hint=f"chmod 600 {key}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except OSError as error:
        # ssl.SSLError is one too.
        _refuse("TLS_CERTIFICATE", f"and TLS_KEY are not a PEM chain and its key: {_why(error)}")


def _no_passphrase() -> str:
    _refuse(
        "TLS_KEY", "has a passphrase", hint="keep it without one, in a file that only the hub's user can read"
    )


def _check_ca(file: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:
        _refuse("TLS_CLIENT_CA", f"has no PEM certificates: {_why(error)}")
    if not context.get_ca_certs():
        _refuse("TLS_CLIENT_CA", "has no certificate of an authority (basicConstraints CA)")


def _why(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return str(error) if reason is None else reason


def _refuse(name: str, why: str, *, hint: str | None = None) -> NoReturn:
    raise ConfigInvalid(f"{PREFIX}{name} {why}", field=f"{PREFIX}{name}", hint=hint)
