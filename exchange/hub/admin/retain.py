"""`exchange-hub retain`: destroy what is over, and say so; `exchange-hub destructions`: what was said.

To be run every day by a timer. It never destroys anything that somebody may still be given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from exchange.hub.admin.commands import NEW_FILE, Target, examples, hub_command
from exchange.hub.admin.opened import opened_database, opened_hub
from exchange.hub.services.destructions import Destruction, listed
from exchange.hub.services.retention import Retained, Tell, destroy_due
from exchange.hub.services.retention_sweep import sweep
from exchange.words import gettext, marked, pgettext
from exchange_schemas.codec import JsonValue, encode
from exchange_schemas.errors import Conflict
from exchange_schemas.ids import Digest


@click.command(
    epilog=examples(
        "exchange-hub retain --dry-run",
        "exchange-hub retain --data-dir /srv/hub --commitments destroyed.jsonl",
    ),
    short_help="Destroy what is over or has expired.",
)
@hub_command
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option(
    "--commitments",
    "file",
    type=NEW_FILE,
    help="Write what each statement's root is over, a line for each; it proves single things.",
)
def retain(target: Target, *, dry_run: bool, file: Path | None) -> None:
    """Destroy sealed keys and ciphertexts that nobody may be given any more, and what has expired.

    Every page that destroyed anything leaves a statement with counts and commitments, named by an entry of
    the audit log. Safe to repeat and to cut short: the next run goes on. HOMEWARD_KEEP_DELIVERED_DAYS (30)
    says how long a ciphertext stays once its recipient has answered.
    """
    with opened_hub(target) as hub, _listing(None if dry_run else file) as tell:
        done = Retained(tell)
        destroy_due(hub, done, dry_run=dry_run)
        sweep(hub, done, dry_run=dry_run)
    counts: dict[str, JsonValue] = {name: count for name, count in sorted(done.counts.items()) if count}
    said = ", ".join(f"{pgettext('fact', name.replace('_', ' '))} {count}" for name, count in counts.items())
    facts: dict[str, JsonValue] = {"destroyed": counts, "dry_run": dry_run}
    facts["statements"] = [_told(statement) for statement in done.statements]
    target.out.done(
        marked("would be destroyed: {said}") if dry_run else marked("destroyed: {said}"),
        facts,
        said=said or gettext("nothing"),
    )


@click.command(epilog=examples("exchange-hub destructions", "exchange-hub destructions --json"))
@hub_command
def destructions(target: Target) -> None:
    """List the statements of destruction, each with the audit entry that names it."""
    with opened_database(target) as engine:
        rows = [_told(statement) for statement in listed(engine)]
    target.out.rows(
        "statements: {count}", rows, columns=("at", "destroyed", "digest", "entry"), count=len(rows)
    )


@contextmanager
def _listing(file: Path | None) -> Iterator[Tell]:
    """Writes a line for each statement as soon as it is made: a run that is cut short has its lines.

    Raises: Conflict when the file is there, before anything is destroyed.
    """
    if file is None:
        yield lambda _statement, _commitments: None
        return
    try:
        out = file.open("xb")
    except FileExistsError:
        raise Conflict(f"the file {file.name} exists already") from None

    def tell(statement: Destruction, commitments: Sequence[Digest]) -> None:
        out.write(encode({"statement": statement.digest, "commitments": [*commitments]}) + b"\n")
        out.flush()
        os.fsync(out.fileno())

    with out:
        yield tell


def _told(statement: Destruction) -> dict[str, JsonValue]:
    return {**statement.members, "digest": statement.digest, "entry": statement.entry_id}
