"""`exchange-hub audit`: what is done about the audit log behind the requests, and by the operators alone."""

from __future__ import annotations

import signal
import threading

import click

from exchange.hub.admin.background import holder_name
from exchange.hub.admin.commands import Target, examples, hub_command
from exchange.hub.admin.opened import opened_hub
from exchange.hub.services.slices import append_heads, index_some
from exchange.hub.services.upkeep import Upkeep


@click.group(name="audit", short_help="The audit log's slices.")
def group() -> None:
    """What is done about the audit log behind the requests."""


@group.command(
    epilog=examples("exchange-hub audit slices --once", "exchange-hub audit slices --data-dir /srv/hub"),
    short_help="Keep each agency's slice of the audit log.",
)
@hub_command
@click.option("--once", is_flag=True, help="Bring the slices up to date, write the heads, and end.")
def slices(target: Target, *, once: bool) -> None:
    """Put each entry into the slice of its parties, and write heads over all slices once a minute.

    `serve` does it by itself; this is for a hub whose workers are started in another way. Several may run:
    one of them has the turn. It may be killed at any time and goes on where it was.
    """
    with opened_hub(target) as hub:
        if not once:
            target.out.note("keeping the slices until it is told to stop (SIGTERM or Ctrl-C)")
            stop = threading.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            Upkeep(hub, holder_name()).run(stop.wait)
            return
        taken = 0
        while some := index_some(hub):
            taken += some
        released = append_heads(hub)
    receipt = None if released is None else released.receipt
    entry = None if receipt is None else receipt.entry_id
    said = "there was nothing new" if entry is None else f"entry {entry} is the new heads"
    target.out.done(f"{taken} entries were put into their slices; {said}", {"entries": taken, "heads": entry})
