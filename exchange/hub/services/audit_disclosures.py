"""What the log's commitments stand for: shown to auditors who are entitled to it, and forgotten.

An auditor opens a reading, which is an entry of the log, and may then for a day read the disclosures of the
entries that were there before, as far as it is accredited. Forgetting removes salt and value; the commitment
stays in the log, where it says nothing any more, and everything verifies as before. Proofs of requests are
forgotten by their age. Nothing here may write down again what was forgotten.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, select, text, update

from exchange.hub.db import TIMEOUT_S, overwrite_erased, reading, storage_errors, writing
from exchange.hub.models.log import audit_pull, log_disclosure, log_entry, log_salt
from exchange.hub.models.slices import slice_state
from exchange.hub.services import audit_read
from exchange.hub.services.accreditation import accreditation_of
from exchange.hub.services.audit_append import microseconds
from exchange.hub.services.audit_pulls import opened_until, unlogged
from exchange.hub.services.release import Answer, Caller, Released, Trace, release, release_admin
from exchange.log.commitment import commitment
from exchange.log.slices import parties_of
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.entry import Act, ts_of
from exchange_schemas.errors import Forbidden, NotFound
from exchange_schemas.ids import AgencyId, check_id, new_id
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from exchange.hub.services.audit_salts import Scope
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

SCAN: Final = 1024
"""Entries that one page looks at, and that one step of forgetting does."""
IDS: Final = "ids"
PROOFS: Final = "proofs"
_NAMES: Final = {IDS: ("cns", "rec"), PROOFS: ("req",)}
_DAY_US: Final = 86_400_000_000
_KINDS: Final = {f"{Act.DISCLOSURE_READ.value}:{what}": names for what, names in _NAMES.items()}
_OPEN: Final = select(audit_pull.c.size, audit_pull.c.act).where(
    audit_pull.c.pull == bindparam("pull"),
    audit_pull.c.agency == bindparam("me"),
    audit_pull.c.act.in_(list(_KINDS)),
    audit_pull.c.expires > bindparam("now"),
)
_ENTRIES: Final = (
    select(log_entry.c.idx, log_entry.c.entry_id, log_entry.c.entry)
    .where(log_entry.c.idx >= bindparam("start"), log_entry.c.idx < bindparam("end"))
    .order_by(log_entry.c.idx)
)
_SHOWN: Final = select(log_disclosure).where(
    log_disclosure.c.entry_id.in_(bindparam("ids", expanding=True)),
    log_disclosure.c.name.in_(bindparam("names", expanding=True)),
)


# -- reading -------------------------------------------------------------------------------------------


def open_reading(hub: Hub, caller: Caller, what: str) -> Released:
    """Open a reading of the disclosures, of `ids` or of `proofs`, to the log's present end; 201, logged.

    Raises: Forbidden for who is no auditor.
    """
    trace = Trace(act=Act.DISCLOSURE_READ, pol=what)

    def work(unit: Unit) -> Answer:
        scope = accreditation_of(unit.conn, caller)
        size = audit_read.head(unit.conn).size
        pull = new_id(hub.random)
        row = {
            "pull": pull,
            "agency": caller.agency,
            "size": size,
            "act": f"{Act.DISCLOSURE_READ.value}:{what}",
        }
        unit.conn.execute(audit_pull.insert(), {**row, "expires": opened_until(unit.now)})
        return Answer(body={"reading": pull, "size": size, "about": scope.told()}, trace=trace, status=201)

    return release(hub, caller, trace, work)


def read_page(hub: Hub, caller: Caller, reading_id: str, start: int) -> Released:
    """The disclosures of some hundred entries from number `start` on; `next` is where the next page begins.

    Raises: Forbidden without an open reading.
    """
    checked = check_id(reading_id, field="reading")
    now = int(hub.clock().timestamp())
    with storage_errors(), reading(hub.engine) as conn:
        scope = accreditation_of(conn, caller)
        named = {"pull": checked, "me": caller.agency, "now": now}
        opened = conn.execute(_OPEN, named).one_or_none()
        if opened is None:
            hint = "POST /v1/audit/disclosures opens one"
            raise Forbidden("no open reading covers these disclosures", rule="open-reading", hint=hint)
        size = opened.size
        end = min(start + SCAN, size)
        rows = conn.execute(_ENTRIES, {"start": start, "end": end}).all()
        seen = {row.entry_id: row.idx for row in rows if scope.covers(parties_of(bytes(row.entry)))}
        shown = _shown(conn, seen, _KINDS[opened.act])
    listed: list[JsonValue] = [
        {"index": seen[row.entry_id], "name": row.name, "salt": b64u(row.salt), "value": row.value}
        for row in sorted(shown, key=lambda row: (seen[row.entry_id], row.name))
    ]
    body: dict[str, JsonValue] = {"disclosures": listed, "next": end if end < size else None}
    return unlogged(hub, caller, body)


def _shown(conn: Connection, seen: dict[str, int], names: tuple[str, ...]) -> list[Any]:
    if not seen:
        return []
    return list(conn.execute(_SHOWN, {"ids": list(seen), "names": list(names)}).all())


# -- forgetting ----------------------------------------------------------------------------------------


def forget(hub: Hub, operators: str, scope: Scope, ref: str) -> Released:
    """Forget what the commitments to a consent family ("cns") or an envelope ("rec") stand for; logged.

    The entry bears the commitment, so that whoever holds a copy of the disclosure knows what to delete.
    Raises: NotFound when nothing is kept about it; as `release_admin`.
    """
    trace = Trace(act=Act.DISCLOSURE_ERASE)
    # Without an index over values a search reads the whole table: before the lock, not under it.
    with storage_errors(), reading(hub.engine) as conn:
        size = audit_read.head(conn).size
        known = _entries_with(conn, scope, ref)
        own = _parties(conn, known)

    def work(unit: Unit) -> Answer:
        salt = _salt(unit.conn, scope, ref)
        if salt is None:
            raise NotFound("nothing is kept about it", field="ref")
        said = commitment(scope, salt, ref)
        unit.conn.execute(delete(log_salt).where(log_salt.c.scope == scope, log_salt.c.ref == ref))
        _delete(unit.conn, scope, known)
        _delete_since(unit.conn, scope, ref, size)
        # Its parties learn of it, and auditors who are accredited for one of them.
        done = Trace(act=Act.DISCLOSURE_ERASE, own=own, forgotten=(scope, said))
        return Answer({"commitment": said}, done)

    released = release_admin(hub, operators, trace, work)
    _sweep(hub, scope, ref, size)
    with storage_errors():
        if not overwrite_erased(hub.engine):
            logging.getLogger(__name__).warning("what was forgotten leaves the disk with the next checkpoint")
    return released


def _salt(conn: Connection, scope: str, ref: str) -> bytes | None:
    found = conn.execute(select(log_salt.c.salt).where(log_salt.c.scope == scope, log_salt.c.ref == ref))
    salt = found.scalar_one_or_none()
    return None if salt is None else bytes(salt)


def _entries_with(conn: Connection, scope: str, ref: str) -> list[str]:
    found = select(log_disclosure.c.entry_id).where(
        log_disclosure.c.name == scope, log_disclosure.c.value == ref
    )
    return list(conn.execute(found).scalars())


def _parties(conn: Connection, entry_ids: list[str]) -> tuple[AgencyId, ...]:
    """Who the entries are about; nobody is named when an entry has no room for all of them."""
    found: set[str] = set()
    for at in range(0, len(entry_ids), SCAN):
        some = select(log_entry.c.entry).where(log_entry.c.entry_id.in_(entry_ids[at : at + SCAN]))
        for entry in conn.execute(some).scalars():
            found.update(parties_of(bytes(entry)))
    return tuple(AgencyId(one) for one in sorted(found)) if len(found) <= LIMITS.parties_per_entry else ()


def _delete(conn: Connection, name: str, entry_ids: list[str]) -> None:
    for at in range(0, len(entry_ids), SCAN):
        some = entry_ids[at : at + SCAN]
        conn.execute(
            delete(log_disclosure).where(log_disclosure.c.name == name, log_disclosure.c.entry_id.in_(some))
        )


def _delete_since(conn: Connection, scope: str, ref: str, size: int) -> None:
    """Those of the entries that came after the search."""
    newer = select(log_entry.c.entry_id).where(log_entry.c.idx >= size)
    conn.execute(
        delete(log_disclosure).where(
            log_disclosure.c.entry_id.in_(newer),
            log_disclosure.c.name == scope,
            log_disclosure.c.value == ref,
        )
    )


_UNDER_WAY: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
    " AND pid <> pg_backend_pid() AND xact_start < :since"
)


def _sweep(hub: Hub, scope: str, ref: str, size: int) -> None:
    """Forget it also for answers that had read the salt before: of the same transaction, or later ones.

    None of them lives longer than the transaction timeout.
    """
    if hub.engine.dialect.name == "postgresql":
        _wait_for_others(hub)
    with storage_errors(), writing(hub.engine) as conn:
        salt = _salt(conn, scope, ref)
        newer = select(log_entry.c.entry_id).where(log_entry.c.idx >= size)
        gone = delete(log_disclosure).where(
            log_disclosure.c.entry_id.in_(newer),
            log_disclosure.c.name == scope,
            log_disclosure.c.value == ref,
        )
        # What was written since under a salt of its own is not the one that was forgotten.
        conn.execute(gone if salt is None else gone.where(log_disclosure.c.salt != salt))


def _wait_for_others(hub: Hub) -> None:
    """PostgreSQL: until every transaction that began before now is over. SQLite has one writer."""
    with storage_errors(), reading(hub.engine) as conn:
        since = conn.execute(select(func.clock_timestamp())).scalar_one()
        for _ in range(TIMEOUT_S * 10):
            if conn.execute(_UNDER_WAY, {"since": since}).scalar_one() == 0:
                return
            conn.execute(text("SELECT pg_sleep(0.1)"))


def forget_old_proofs(hub: Hub) -> int:
    """Forget the proofs of requests that are older than the setting; gives how many entries were done.

    A step of bounded work; call it again until it gives 0. Raises: Unavailable, AuditUnavailable.
    """
    before_us = microseconds(hub.clock()) - hub.settings.proof_days * _DAY_US
    with storage_errors(), reading(hub.engine) as conn:
        start = int(conn.execute(select(slice_state.c.forgotten)).scalar_one())
        rows = conn.execute(_ENTRIES, {"start": start, "end": start + SCAN}).all()
    old = []
    for row in rows:
        if ts_of(bytes(row.entry)) >= before_us:
            break
        old.append(row.entry_id)
    if not old:
        return 0
    with storage_errors(), writing(hub.engine) as conn:
        _delete(conn, "req", old)
        moved = update(slice_state).where(slice_state.c.one == 1, slice_state.c.forgotten == start)
        conn.execute(moved.values(forgotten=start + len(old)))
    return len(old)
