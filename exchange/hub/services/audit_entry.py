"""Audit entries: what a service says about its answer, made into the bytes of a leaf and put into the log.

An entry must never hold an identifier of a child, a consent, or an envelope: those become salted
commitments, and what they stand for is kept apart, where it can be erased.
"""

from dataclasses import dataclass
from typing import Final

from exchange_schemas.entry import Act, Entry, Outcome

from exchange.hub.services.audit_append import Appended, append, microseconds
from exchange.hub.services.audit_salts import Scope, commitment, disclose, salt_of
from exchange.hub.services.unit import Unit
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import AuditUnavailable, EntryInvalid, Malformed
from exchange_schemas.ids import AgencyId

__all__ = ["Act", "Actor", "Logged", "Outcome", "Trace", "record"]

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """What the entry says. `own`: the other parties (the caller is added).

    `family` (of a consent) and `eid` (of an envelope) become salted commitments.
    """

    act: Act
    own: tuple[AgencyId, ...] = ()
    knd: str | None = None
    fld: tuple[str, ...] = ()
    pur: str | None = None
    family: str | None = None
    eid: str | None = None
    pol: str | None = None
    rsn: str | None = None
    opr: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an agency with its compact proof, or nobody's agency (an administrator, named in `opr`)."""

    org: AgencyId | None
    proof: str | None


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry in the log, durable once the transaction is."""

    entry_id: str
    entry: bytes
    place: Appended


def record(unit: Unit, actor: Actor, trace: Trace, outcome: Outcome, reason: str | None) -> Logged:
    """Append the entry of this unit with its disclosures; the last thing a transaction does.

    Raises: AuditUnavailable when the log cannot take it, also when the entry would break its own rules.
    """
    hub = unit.hub
    disclosures: dict[str, tuple[bytes, str]] = {}

    def committed(scope: Scope, value: str | None) -> str | None:
        if value is None:
            return None
        salt = salt_of(unit.conn, scope, value, hub.random)
        disclosures[scope] = salt, value
        return commitment(scope, salt, value)

    cns, rec = committed("cns", trace.family), committed("rec", trace.eid)
    if actor.proof is not None:
        disclosures["req"] = b"", actor.proof
    disclose(unit.conn, unit.entry_id, disclosures)
    now = hub.clock()
    parties = trace.own if actor.org is None else (*trace.own, actor.org)
    try:
        entry = Entry(
            v=_VERSION,
            log=hub.settings.audit_log,
            id=unit.entry_id,
            ts=microseconds(now),
            act=trace.act,
            out=outcome,
            rsn=trace.rsn if reason is None else reason,
            org=actor.org,
            own=tuple(sorted(set(parties))),
            knd=trace.knd,
            fld=trace.fld,
            pur=trace.pur,
            cns=cns,
            rec=rec,
            req=None if actor.proof is None else b64u(sha256(actor.proof.encode())),
            pol=trace.pol,
            opr=trace.opr,
        ).to_bytes()
    except (Malformed, EntryInvalid) as error:
        # The hub's own mistake: whoever calls must not get an answer that no entry records.
        raise AuditUnavailable("the audit entry cannot be written, so nothing is answered") from error
    place = append(unit.conn, unit.entry_id, entry, ts_us=microseconds(now), now=now)
    return Logged(unit.entry_id, entry, place)
