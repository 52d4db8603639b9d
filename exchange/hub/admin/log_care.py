"""`exchange-hub audit`: have both logs witnessed and written as files, check them, put back what was lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from exchange.hub.admin.commands import REFUSED, Target, examples, hub_command
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.operator_key import KeySource, key_options
from exchange.hub.admin.weighty import open_operator
from exchange.hub.services import witness_status
from exchange.hub.services.fsck import check_stored
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import AUDIT
from exchange.hub.services.publish_loop import note_round, publish_until
from exchange.hub.services.publishing import EVERY_S, Publisher, Round
from exchange.hub.services.recover import recover as take_as_it_is
from exchange.hub.services.restore_log import restore_log
from exchange.hub.services.slices import bring_level
from exchange.hub.services.tile_files import write_tiles
from exchange.hub.services.withdrawals import replay_journal
from exchange.hub.services.witness_guard import ask_witnesses
from exchange.hub.tilestore import TileStore, open_tiles
from exchange.words import gettext, marked
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.errors import ConfigInvalid, LogFork


@click.command(
    epilog=examples(
        "exchange-hub audit publish --data-dir /srv/hub",
        "exchange-hub audit publish --data-dir /srv/hub --every 10",
    )
)
@hub_command
@click.option("--every", type=click.IntRange(min=EVERY_S), help="Go on, with a round every so many seconds.")
def publish(target: Target, *, every: int | None) -> int:
    """Ask every witness of the policy to cosign both logs, once.

    `serve` does this by itself, every ten seconds when something is new and every minute when not. A round
    that meets the quorum ends with 0, one that does not with 1. With --every it goes on until SIGTERM or
    Ctrl-C, and ends with 1 when a log is proved not to be the one that was witnessed.
    """
    with opened_hub(target) as hub:
        if every is not None and (hub.witnesses is not None or hub.settings.tiles is not None):
            stop = _until_told()
            good = publish_until(hub, b64u(hub.random(9)), lambda: stop.wait(every))
            return 0 if good else REFUSED
        publisher = Publisher.of(hub)
        done = publisher.round()
        note_round(hub.engine, hub.clock())
    _tell(target, done, {one.vkey: one.name for one in publisher.policy.witnesses})
    for proof in done.conflicts:
        raise LogFork(
            f"{proof.witness} has cosigned a {proof.log} log that this one does not continue",
            rule=proof.rule,
            hint="exchange-hub check; restore what is missing (audit recover) before you go on",
        )
    return 0 if all(one.witnessed for one in done.outcomes) else REFUSED


@click.command(epilog=examples("exchange-hub audit tiles --data-dir /srv/hub"))
@hub_command
def tiles(target: Target) -> None:
    """Write the log's full tiles and entry bundles where HOMEWARD_TILES says, as far as they are missing.

    `serve` does this by itself. A run that was cut short is simply run again.
    """
    with opened_hub(target) as hub, _bar("writing") as progress:
        written = write_tiles(hub, _store(hub), progress=progress)
    target.out.done(
        "entries that lie in files: {entries}; new files: {files}",
        {"entries": written.entries, "files": written.files},
    )


@click.command(
    epilog=examples("exchange-hub audit fsck --data-dir /srv/hub", "exchange-hub audit fsck --json")
)
@hub_command
def fsck(target: Target) -> int:
    """Recompute both logs from their entries, and the audit log's files; name each difference.

    Ends with 0 when all is as it must be, with 1 when something is not. Nothing is repaired.
    """
    with opened_hub(target) as hub, _bar("checking") as progress:
        found = check_stored(hub, open_tiles(hub.settings), progress=progress)
    listed: list[JsonValue] = [
        {"fault": one.fault, "log": one.log, "index": one.index, "text": one.text} for one in found.listed
    ]
    counts: dict[str, JsonValue] = dict(found.counts)
    good = not found.counts
    said = marked("both logs are what their entries make them") if good else marked("differences: {total}")
    target.out.done(said, {"ok": good, "faults": counts, "findings": listed}, total=found.counts.total())
    for one in found.listed:
        target.out.note("{log} {fault}: {text}", log=one.log, fault=one.fault, text=one.text)
    return 0 if good else REFUSED


@click.command(epilog=examples("exchange-hub audit status --data-dir /srv/hub --json"))
@hub_command
def status(target: Target) -> None:
    """Say how far each witness has cosigned each log, and since when one lags."""
    with opened_hub(target) as hub:
        Publisher.of(hub)
        rows = witness_status.report(hub)
        silent = [lag for lag in witness_status.lagging(hub) if lag.witness == witness_status.PUBLISHER]
    columns = ("log", "witness", "size", "cosigned", "lagging_since", "fault")
    target.out.rows("witnesses", rows, columns=columns)
    if silent:
        target.out.note("warning: no round was made in the last minutes; is `exchange-hub serve` running?")


@click.command(
    epilog=examples("exchange-hub audit recover --from-mirror log/ --operator-key asha.key"),
    short_help="Put back what the audit log lost, from an auditor's copy.",
)
@hub_command
@key_options
@click.option(
    "--from-mirror",
    "mirror",
    required=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of an auditor's `exchange-audit pull`.",
)
def recover(target: Target, *, source: KeySource, mirror: Path) -> None:
    """Put back the entries that the audit log lost, and log who did it.

    For a hub that was put back to a backup and has not gone on since. The whole copy is verified first,
    against this hub's own log key, the witnesses, and the high-water mark; entries that are here are never
    written over. Stop every hub on this database. A run that was cut short is run again. Only the log comes
    back: what the lost answers changed besides (envelopes, consents) does not, the withdrawals of the guard
    journal do.
    """
    with opened_hub(target) as hub:
        key = open_operator(source, hub)
        for warning in ask_witnesses(hub):
            target.out.note("warning: {warning}", warning=warning)
        with _bar("restoring") as progress:
            restored = restore_log(hub, mirror, progress)
        take_as_it_is(hub, key.name, (AUDIT,))
        held = replay_journal(hub)
        # An agency that is shown heads over fewer entries than before takes it for a log that went back.
        bring_level(hub)
    facts: dict[str, JsonValue] = {
        "before": restored.before,
        "size": restored.size,
        "witnessed": restored.witnessed,
        "operator": key.name,
        "withdrawals": held,
        "unsalted": list(restored.unsalted),
    }
    count = restored.size - restored.before
    target.out.done(
        "entries that are back: {count}; the log has {size}; logged by {operator}", facts, count=count
    )
    if restored.unsalted:
        target.out.note(
            "warning: the copy had no salts for {parties}: they get new ones, and auditors who hold the old "
            "ones refuse to pull",
            parties=", ".join(restored.unsalted),
        )


def _store(hub: Hub) -> TileStore:
    store = open_tiles(hub.settings)
    if store is None:
        raise ConfigInvalid(
            "this hub has no place for the log's files",
            field="HOMEWARD_TILES",
            hint="name a folder or a bucket in HOMEWARD_TILES (docs/operations.md)",
        )
    return store


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; nothing in scripts."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(gettext(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(target: Target, done: Round, names: dict[str, str]) -> None:
    logs: list[JsonValue] = [
        {"log": one.log, "size": one.size, "witnessed": one.witnessed, "published": one.published}
        for one in done.outcomes
    ]
    lagging: list[JsonValue] = [
        {"log": state.log, "witness": names[state.witness], "fault": state.fault}
        for state in done.states
        if state.failing is not None
    ]
    facts: dict[str, JsonValue] = {"logs": logs, "lagging": lagging}
    met = ", ".join(
        f"{one.log} {one.size}" if one.witnessed else gettext("{log} NOT WITNESSED", log=one.log)
        for one in done.outcomes
    )
    target.out.done("published: {met}", facts, met=met)
    for state in done.states:
        if state.failing is not None:
            target.out.note(
                "{witness} lags with the {log} log: {fault}",
                witness=names[state.witness],
                log=state.log,
                fault=state.fault,
            )


def _until_told() -> threading.Event:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: told.set())
    return told


COMMANDS = (publish, status, tiles, fsck, recover)
"""For the group `audit`."""
