"""Recovery: an operator has looked at a log that the high-water mark does not allow, and takes it as it is.

The act is the new log's own entry, so that auditors see when and by whom. It must never be done by a program
alone: witnesses and agencies that saw the lost entries will ask about them.

Members may be further on than the hub is now: senders in their chains, recipients in their mailboxes. In the
same transaction every chain is opened for one grant that may stand anywhere further on, and every mailbox
goes on behind all places that anybody can have seen. Nothing lost comes back by that; but what is sent from
now on arrives, under a number and at a place that was never used before.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, and_, exists, insert, literal, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert

from exchange.hub.models.directory import directory_agency
from exchange.hub.models.envelopes import chain_head, mailbox
from exchange.hub.services import conflicts, highwater
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import AUDIT, DIRECTORY
from exchange.hub.services.release import Answer, Released, Trace, release_admin
from exchange.hub.services.unit import Unit
from exchange.log.proof import parse_proof
from exchange_schemas.entry import Act
from exchange_schemas.envelope import NO_PREVIOUS
from exchange_schemas.errors import AuditUnavailable

LEAP: Final = 1_000_000
"""Places of a mailbox that a recovery leaves out: more than anybody gets between two backups."""
_SENDER: Final = directory_agency.alias("sender")
_RECIPIENT: Final = directory_agency.alias("recipient")
_CHAIN: Final = and_(chain_head.c.snd == _SENDER.c.agency, chain_head.c.rcp == _RECIPIENT.c.agency)
_OPEN_CHAINS: Final = update(chain_head).values(reopened=true())
_OPEN_UNBEGUN: Final = insert(chain_head).from_select(
    ("snd", "rcp", "seq", "digest", "gid", "reopened"),
    select(_SENDER.c.agency, _RECIPIENT.c.agency, literal(0), literal(NO_PREVIOUS), literal(""), true())
    .select_from(_SENDER.join(_RECIPIENT, true()))
    .where(~exists().where(_CHAIN)),
)
_LEAP_ALL: Final = update(mailbox).values(position=mailbox.c.position + LEAP)


def recover(hub: Hub, operator: str, logs: Sequence[str] = (AUDIT, DIRECTORY)) -> Released:
    """Log the operator's decision, and take high-water mark and what witnesses proved of `logs` as settled.

    Raises: AuditUnavailable or Unavailable when it cannot be logged; OSError or StorageFull when the mark
    cannot be written, and then nothing is recovered.
    """
    trace = Trace(Act.HUB_RECOVER)

    def work(unit: Unit) -> Answer:
        _let_members_go_on(unit.conn)
        return Answer({}, trace)

    released = release_admin(hub, operator, trace, work)
    if released.receipt is None:
        raise AuditUnavailable("the recovery was not logged")
    highwater.write(highwater.path_of(hub), parse_proof(released.receipt.proof).note, hub.clock())
    conflicts.accept(hub.engine, operator, logs)
    return released


def _let_members_go_on(conn: Connection) -> None:
    """Whoever is further on than the hub goes on from there; run again it only leaps again."""
    conn.execute(_OPEN_CHAINS)
    conn.execute(_OPEN_UNBEGUN)
    conn.execute(_LEAP_ALL)
    agencies = select(directory_agency.c.agency, literal(LEAP)).where(true())
    conn.execute(upsert(mailbox).from_select(["agency", "position"], agencies).on_conflict_do_nothing())
