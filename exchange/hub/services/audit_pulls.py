"""Reading the audit log over HTTP: pulls of auditors, hash tiles for members, receipts for the parties.

One pull is one logged entry, however many bundles are read under it: it is open for a day to the auditor that
made it, and covers the entries that were there before it. Checkpoints and hash tiles tell nothing of any
entry. Nothing here may give an entry to somebody who is neither an accredited auditor nor a party of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, func, insert, select, text

from exchange.hub.db import reading, storage_errors
from exchange.hub.models.log import audit_pull
from exchange.hub.models.slices import slice_party
from exchange.hub.services import audit_read
from exchange.hub.services.accreditation import accreditation_of
from exchange.hub.services.release import Answer, Caller, Released, Trace, receipt_for, release
from exchange.log.checkpoint import Checkpoint, sign_checkpoint
from exchange.log.tiles import TILE_WIDTH
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import Forbidden, Malformed, NotFound
from exchange_schemas.ids import check_id, new_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

OPEN_FOR: Final = timedelta(hours=24)
SALTS_PAGE: Final = 500
# Sorted as the database sorts texts: a page goes on where the one before ended.
_SALTS: Final = (
    select(slice_party.c.party, slice_party.c.salt)
    .where(slice_party.c.party > bindparam("after"))
    .order_by(slice_party.c.party)
    .limit(bindparam("most"))
)
_OPEN: Final = insert(audit_pull)
# As text: each database has its own word for it. An agency's id cannot hold a quote.
_MINE: Final = {
    "sqlite": text("SELECT 1 FROM log_entry WHERE entry_id = :entry AND instr(entry, :me) > 0"),
    "postgresql": text("SELECT 1 FROM log_entry WHERE entry_id = :entry AND position(:me IN entry) > 0"),
}
_COVERED: Final = select(func.max(audit_pull.c.size)).where(
    audit_pull.c.agency == bindparam("me"),
    audit_pull.c.act == Act.AUDIT_PULL.value,
    audit_pull.c.expires > bindparam("now"),
)


def open_pull(hub: Hub, caller: Caller, start: int) -> Released:
    """Open a pull of the entries from number `start` to the log's present end; 201.

    `about` says which agencies' entries it is limited to; null: none, it is the whole log.
    Raises: Forbidden for who is not an auditor; Malformed when the log has fewer entries than `start`.
    """
    trace = Trace(act=Act.AUDIT_PULL)

    def work(unit: Unit) -> Answer:
        scope = accreditation_of(unit.conn, caller)
        tree = audit_read.head(unit.conn)
        if start > tree.size:
            raise Malformed(
                "from: the log has fewer entries than that",
                field="from",
                hint="if you hold more entries than the hub, it was rolled back: keep your copy",
            )
        pull = new_id(hub.random)
        row = {"pull": pull, "agency": caller.agency, "size": tree.size, "act": Act.AUDIT_PULL.value}
        unit.conn.execute(_OPEN, {**row, "expires": opened_until(unit.now)})
        position = Checkpoint(hub.settings.audit_log, tree.size, tree.root())
        note = sign_checkpoint(position, hub.keys.audit_log)
        body: dict[str, JsonValue] = {
            "pull": pull,
            "size": tree.size,
            "checkpoint": note,
            "about": scope.told(),
        }
        return Answer(body=body, trace=trace, status=201)

    return release(hub, caller, trace, work)


def opened_until(now: datetime) -> int:
    """When what is opened now is closed, in seconds since 1970."""
    return int((now + OPEN_FOR).timestamp())


def tile(hub: Hub, caller: Caller, level: int, n: int, width: int = TILE_WIDTH) -> tuple[Released, bytes]:
    """A hash tile, for every member; not logged. Raises: NotFound beyond the log."""
    data = audit_read.tile(hub, level, n, width)
    return unlogged(hub, caller, {}), data


def bundle(hub: Hub, caller: Caller, n: int, width: int = TILE_WIDTH) -> tuple[Released, bytes]:
    """An entry bundle, for an auditor with an open pull that covers it; logged with the pull, not by itself.

    Raises: Forbidden without such a pull, NotFound beyond the log.
    """
    if n * TILE_WIDTH + width > _whole_pull(hub, caller):
        raise no_pull()
    data = audit_read.bundle(hub, n, width)
    return unlogged(hub, caller, {}), data


def salts(hub: Hub, caller: Caller, after: str | None) -> Released:
    """The secret of each slice, a page by the order of their parties, for an auditor with an open pull.

    Raises: Forbidden without one.
    """
    _whole_pull(hub, caller)
    with storage_errors(), reading(hub.engine) as conn:
        rows = conn.execute(_SALTS, {"after": after or "", "most": SALTS_PAGE}).all()
    listed: list[JsonValue] = [{"party": row.party, "salt": b64u(row.salt)} for row in rows]
    return unlogged(hub, caller, {"salts": listed, "more": len(rows) == SALTS_PAGE})


def receipt(hub: Hub, caller: Caller, entry_id: str) -> Released:
    """The receipt of an entry of which the caller is a party, as it was given then; not logged.

    Raises: Malformed, NotFound (also for an entry of others).
    """
    # The SQL carries the caller: an entry of others costs what one that does not exist costs.
    checked = check_id(entry_id, field="entry")
    named = {"entry": checked, "me": f'"{caller.agency}"'.encode()}
    with storage_errors(), reading(hub.engine) as conn:
        if conn.execute(_MINE[conn.dialect.name], named).first() is None:
            raise NotFound("there is no such entry")
    found = receipt_for(hub, checked)
    # Another member of the entry may read like the agency's id.
    if caller.agency not in Entry.from_bytes(found.entry).own:
        raise NotFound("there is no such entry")
    return unlogged(hub, caller, {"entry": b64u(found.entry), "proof": found.proof})


def covered_by(conn: Connection, caller: Caller, now: datetime) -> int:
    """How many entries the caller's open pulls cover. Raises: Forbidden without one."""
    named = {"me": caller.agency, "now": int(now.timestamp())}
    covered = conn.execute(_COVERED, named).scalar_one()
    if covered is None:
        raise no_pull()
    return int(covered)


def _whole_pull(hub: Hub, caller: Caller) -> int:
    """The same for an auditor of the whole log. Raises: Forbidden."""
    with storage_errors(), reading(hub.engine) as conn:
        if accreditation_of(conn, caller).about is not None:
            raise Forbidden(
                "only an auditor of all agencies reads the whole log",
                rule="accredited-for-all",
                hint="GET /v1/audit/entries gives the entries about those you are accredited for",
            )
        return covered_by(conn, caller, hub.clock())


def no_pull() -> Forbidden:
    """The refusal of who has opened none, or none that goes so far."""
    return Forbidden("no open pull covers these entries", rule="open-pull", hint="open a pull first")


def unlogged(hub: Hub, caller: Caller, body: dict[str, JsonValue]) -> Released:
    """Released without an entry of its own: the proof is spent, the token's standing checked."""
    trace = Trace(act=Act.AUDIT_READ)
    unlogged = Answer(body=body, trace=trace, logged=False)
    return release(hub, caller, trace, lambda _unit: unlogged, reads=True)
