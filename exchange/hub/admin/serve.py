"""`exchange-hub serve`: the hub as a server, several workers on one address, over TLS or behind a TLS proxy.

The keys are unlocked once, in the parent, before any worker is forked: a passphrase given by a descriptor is
needed once, and a worker that dies is replaced without it. Nothing is served before every start-up check has
held and the journal of withdrawals has been replayed.
"""

from __future__ import annotations

import errno
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import click

from exchange.hub.admin.beside import start_beside
from exchange.hub.admin.commands import Target, examples, hub_command
from exchange.hub.admin.cpus import Places
from exchange.hub.admin.forks import end_forked_at_once
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.tls import Tls, renewal, tls_of
from exchange.hub.admin.works import works_of
from exchange.hub.db import open_engine
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import HUB, require_governance
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange.hub.services.withdrawals import replay_journal
from exchange.hub.services.witness_guard import check_start
from exchange_schemas.codec import JsonValue
from exchange_schemas.entry import Act
from exchange_schemas.errors import ConfigInvalid, Conflict

_STOP_S: Final = 15
_LOOK_S: Final = 1.0
_BACKLOG: Final = 1024
_COLLECT_EVERY: Final = 20_000
_SWITCH_S: Final = 0.0005


class _Meant(logging.Filter):
    """Leaves out the server's advice to have fewer threads: most of them wait, and share in one commit."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is said."""
        return "Python threads" not in record.getMessage()


_TO_STDERR: Final = {
    "filters": {"meant": {"()": _Meant}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stderr",
            "filters": ["meant"],
        },
        "access": {"class": "logging.StreamHandler", "formatter": "access", "stream": "ext://sys.stderr"},
    },
}


@click.command(
    epilog=examples(
        "exchange-hub serve --data-dir /srv/hub",
        "exchange-hub serve --data-dir /srv/hub --host 10.0.0.5 --port 8443 --workers 4",
    ),
    short_help="Serve the hub.",
)
@hub_command
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="The port to listen on."
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes. Default: HOMEWARD_WORKERS, else 2.")
@click.option(
    "--pin/--no-pin",
    default=True,
    show_default=True,
    help="Bind each process to a processor of its own: faster. Not where other programs are bound as well.",
)
@click.option(
    "--threads", type=click.IntRange(1, 64), default=8, show_default=True, help="Threads of each process."
)
def serve(target: Target, *, host: str, port: int, workers: int | None, threads: int, pin: bool) -> None:
    """Check this hub and serve it until SIGTERM or SIGINT; requests under way are finished first.

    One line with the address is printed when it listens; GET /readyz says when a worker answers. The base URL
    is https: give HOMEWARD_TLS_CERTIFICATE and HOMEWARD_TLS_KEY, or put a proxy that ends TLS in front. Plain
    HTTP is for a proxy on this machine; in production nothing else may reach it.
    """
    refuse_taken(host, port)
    tls = tls_of(target.settings(), host)
    with opened_hub(target) as hub:
        _prepare(target, hub)
    if workers is not None:
        # Rate limits are shared among as many.
        hub = replace(hub, settings=replace(hub.settings, workers=workers))
    server = _server(host, port, hub.settings.workers, threads, tls)
    scheme, shown = "http" if tls is None else "https", f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{port}"
    server.on_startup(_announcer(target, hub, url))
    if tls is not None:
        server.on_startup(renewal(lambda: tls_of(target.settings(), host), _renewal_refused(target)))
    # The hub, with its keys, is what the workers inherit; it cannot be sent to a process that did not fork.
    multiprocessing.set_start_method("fork", force=True)
    end_forked_at_once()
    stop = start_beside(works_of(hub))
    places = Places() if pin else None
    try:
        server.serve(target_loader=_loader(hub, os.getpid(), places), wrap_loader=False)
    finally:
        if places is not None:
            places.close()
        stop()


def _prepare(target: Target, hub: Hub) -> None:
    """What must be done before the first request. Raises: Unavailable, AuditUnavailable, StoreCorrupt."""
    for warning in check_start(hub):
        target.out.note(
            "warning: {warning}; the hub starts, and asks again when it publishes", warning=warning
        )
    require_governance(hub.engine)
    revived = replay_journal(hub)
    if revived:
        target.out.note(
            "warning: withdrawals and newer consents that were in the guard journal and not in the database: "
            "{count}; they hold again. Was it restored from a backup?",
            count=revived,
        )
    # From here on the hub can write its log, or it does not start.
    trace = Trace(act=Act.HUB_START)
    release_admin(hub, HUB, trace, lambda _unit: Answer({}, trace))


def refuse_taken(host: str, port: int) -> None:
    """The workers share their port, so without this a second server would quietly share it too.

    Raises: Conflict when somebody listens there; ConfigInvalid when it is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(f"port {port} is in use", hint="give another --port") from None
            raise ConfigInvalid(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _server(host: str, port: int, workers: int, threads: int, tls: Tls | None) -> Any:
    # Only this command needs the web server and Flask; the others start in half the time without.
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
    from granian.log import LogLevels

    return Granian(
        "exchange.hub",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=workers,
        blocking_threads=threads,
        backlog=_BACKLOG,
        log_level=LogLevels.warning,
        log_dictconfig=_TO_STDERR,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_S,
        ssl_protocol_min=SSLProtocols.tls13,
        ssl_cert=None if tls is None else tls.certificate,
        ssl_key=None if tls is None else tls.key,
        ssl_ca=None if tls is None else tls.client_ca,
        ssl_client_verify=tls is not None and tls.client_ca is not None,
    )


def _loader(hub: Hub, server: int, places: Places | None) -> Callable[[], Any]:
    """What each worker runs first: the application, over a connection pool of its own."""
    from exchange.hub.app import create_app_from

    def load() -> Any:
        if places is not None:
            # Before any other thread is there.
            places.take()
        threading.Thread(target=_end_with, args=(server,), daemon=True).start()
        application = create_app_from(replace(hub, engine=open_engine(hub.settings.database_url)))
        _tune()
        return application

    return load


def _end_with(server: int) -> None:
    """End this worker when the server that started it is gone: else it would keep the port and the keys."""
    while os.getppid() == server:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _tune() -> None:
    """Settings of a worker's interpreter, worth some five in a hundred requests."""
    # What is there by now, the application last, lives as long as the worker: the collector need not look at
    # it again and again.
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)
    # Whoever holds the database's write lock waits for the interpreter after each statement.
    sys.setswitchinterval(_SWITCH_S)


def _renewal_refused(target: Target) -> Callable[[ConfigInvalid], None]:
    def told(error: ConfigInvalid) -> None:
        target.out.note("{why}; what was served before is served on", why=error.message)

    return told


def _announcer(target: Target, hub: Hub, url: str) -> Callable[[], None]:
    def announce() -> None:
        base_url = hub.settings.base_url
        facts: dict[str, JsonValue] = {"url": url, "base_url": base_url}
        target.out.line("serving {origin} on {url} for {base_url}", facts, origin=hub.settings.origin)

    return announce
