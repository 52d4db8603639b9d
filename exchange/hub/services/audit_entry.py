"""Audit entries: what a service says about its answer, made into the bytes of a leaf and put into the log.

An entry must never hold an identifier of a child, a consent, or an envelope: those become salted
commitments, and what they stand for is kept apart, where it can be erased.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from exchange.hub.services.audit_append import Appended, Leaf, append, microseconds
from exchange.hub.services.audit_salts import Scope, disclosing, salts_of
from exchange.hub.services.unit import Unit
from exchange.log.commitment import commitment
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.entry import CARRIED, Act, Entry
from exchange_schemas.ids import AgencyId, Digest

__all__ = [
    "Act",
    "Actor",
    "Logged",
    "Prepared",
    "Trace",
    "Verdict",
    "append_entries",
    "new_entry_id",
    "prepare",
]

_TAG: Final = re.compile("[A-Za-z0-9][A-Za-z0-9_.:@/-]{0,79}")


@dataclass(frozen=True, slots=True)
class Trace:
    """What the entry says. `own`: the other parties (the caller is added); `pol`: the rule that decided.

    `family` (of a consent) and `eid` (of an envelope) become salted commitments; `forgotten` is a commitment
    whose salt is gone, as it stood in earlier entries.
    """

    act: Act
    own: tuple[AgencyId, ...] = ()
    knd: str | None = None
    fld: tuple[str, ...] = ()
    pur: str | None = None
    family: str | None = None
    eid: str | None = None
    pol: str | None = None
    opr: str | None = None
    forgotten: tuple[Scope, Digest] | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an agency with its compact proof, or an operator by name."""

    org: AgencyId | None = None
    proof: str | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended. `reason`: the error code, and `rule` its tag, unless the outcome is allow.

    `agreements`: the version of the sharing agreements that a refusal was decided under.
    """

    out: Literal["allow", "deny", "error"]
    reason: str | None = None
    rule: str | None = None
    agreements: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry that has no place yet. `ts_us` is its own `ts`; `disclosures`: name → (salt, value)."""

    entry_id: str
    data: bytes
    ts_us: int
    disclosures: Mapping[str, tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry in the log, durable once the transaction is."""

    entry_id: str
    entry: bytes
    place: Appended


def new_entry_id(now: datetime, random: Callable[[int], bytes]) -> str:
    """16 bytes as 22 characters: 6 of milliseconds since 1970, 10 random ones (as a UUID of version 7).

    Entries of one time then lie beside one another in every index, and a commit of several writes fewer
    pages. The entry itself says its time, so that its id gives nothing away.
    """
    milliseconds = int(now.timestamp() * 1000)
    return b64u(milliseconds.to_bytes(6, "big") + random(10))


def prepare(unit: Unit, actor: Actor, trace: Trace, verdict: Verdict) -> Prepared:
    """The entry of this unit with what its commitments stand for, to be appended in the same transaction.

    Raises: Malformed when it would break the entries' own rules.
    """
    said, disclosures = _commit(unit, actor, trace)
    entry = _entry(unit, actor, trace, verdict, said)
    return Prepared(unit.entry_id, entry.to_bytes(), entry.ts, disclosures)


def append_entries(conn: Connection, entries: Sequence[Prepared], now: datetime) -> list[Logged]:
    """Append these in their order, with their disclosures; the last thing that a transaction does.

    On PostgreSQL the transaction is committed then, unless there are none.
    Raises: AuditUnavailable when the log cannot take them; Unavailable when the database is busy.
    """
    if not entries:
        return []
    beside = disclosing({one.entry_id: one.disclosures for one in entries})
    leaves = [Leaf(one.entry_id, one.data, one.ts_us) for one in entries]
    places = append(conn, leaves, now=now, beside=beside, ends=True)
    return [Logged(one.entry_id, one.data, place) for one, place in zip(entries, places, strict=True)]


def _commit(
    unit: Unit, actor: Actor, trace: Trace
) -> tuple[Mapping[Scope, Digest], Mapping[str, tuple[bytes, str]]]:
    """The entry's commitments, and what they and `req` stand for: name → (salt, value)."""
    said: dict[Scope, Digest] = {} if trace.forgotten is None else dict((trace.forgotten,))
    disclosures = {} if actor.proof is None else {"req": (b"", actor.proof)}
    named: tuple[tuple[Scope, str | None], ...] = (("cns", trace.family), ("rec", trace.eid))
    values = {scope: value for scope, value in named if value is not None}
    salts = salts_of(unit.conn, values, unit.hub.random)
    for scope, value in values.items():
        said[scope] = commitment(scope, salts[scope], value)
        disclosures[scope] = salts[scope], value
    return said, disclosures


def _entry(unit: Unit, actor: Actor, trace: Trace, verdict: Verdict, said: Mapping[Scope, Digest]) -> Entry:
    parties = trace.own if actor.org is None else (*trace.own, actor.org)
    return Entry(
        log=unit.hub.settings.audit_log,
        id=unit.entry_id,
        ts=microseconds(unit.hub.clock()),
        act=trace.act,
        out=verdict.out,
        own=tuple(sorted(set(parties))),
        fld=tuple(sorted(set(trace.fld))),
        rsn=verdict.reason,
        org=actor.org,
        knd=trace.knd,
        pur=trace.pur,
        cns=said.get("cns"),
        rec=said.get("rec"),
        req=None if actor.proof is None else Digest(b64u(sha256(actor.proof.encode()))),
        pol=_pol(trace, verdict),
        opr=trace.opr if actor.operator is None else actor.operator,
    )


def _pol(trace: Trace, verdict: Verdict) -> str | None:
    """What the trace says, else the rule that refused; of what a courier carried both."""
    tag = _tag(verdict)
    if trace.pol is None or tag is None:
        return tag if trace.pol is None else trace.pol
    alone = trace.pol.startswith(CARRIED) and "/" not in trace.pol
    return f"{trace.pol}/{tag}" if alone else trace.pol


def _tag(verdict: Verdict) -> str | None:
    """The rule that decided, with the agreements in force when it did: `C20-policy@3`."""
    if verdict.rule is None:
        return None
    tag = verdict.rule if verdict.agreements is None else f"{verdict.rule}@{verdict.agreements}"
    return tag if _TAG.fullmatch(tag) is not None else None
