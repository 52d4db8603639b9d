"""Consents: registering one, and reading those that the caller issued or received.

A consent is registered once and never changed; whoever changes the standing of a family holds its row. One
that supersedes another stands in the guard journal before it counts: a backup must not bring back the wider.
Nothing here may give a consent to an agency that it does not name: the SQL carries the caller, so that "not
yours" and "not there" are one answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, Column, Connection, Row, Select, bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from exchange.consent import check_approvers
from exchange.consent.decision import SCREENED_KINDS, VITAL_INTEREST_MOST
from exchange.hub.models.consents import consent, consent_family
from exchange.hub.services import guard
from exchange.hub.services.cursor import read_cursor, write_cursor
from exchange.hub.services.directory_read import holders_of, key_of
from exchange.hub.services.mailboxes import take_positions
from exchange.hub.services.notices import announce, commissions, counts
from exchange.hub.services.parties import party_of, read_parties
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange_keys.jws import Signed, verify
from exchange_schemas.codec import JsonValue, b64u, decode, sha256
from exchange_schemas.consent import Consent
from exchange_schemas.entry import VITAL, Act
from exchange_schemas.errors import (
    AuthorityMissing,
    Conflict,
    ConsentExpired,
    ConsentMismatch,
    ConsentWithdrawn,
    Malformed,
    NotFound,
    Replay,
    ScreeningDenied,
    SenderMismatch,
    SubjectMismatch,
)
from exchange_schemas.ids import AgencyId, ConsentId, Digest, Kid
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

LISTING: Final = "consents"
"""What the cursors of this listing are for."""
_ME: Final[BindParameter[Any]] = bindparam("me")
_CID: Final[BindParameter[Any]] = bindparam("cid")
_SAME: Final = select(consent.c.digest, consent.c.entry_id).where(consent.c.cid == _CID, consent.c.iss == _ME)
_KNOWN: Final = select(consent.c.digest).where(consent.c.digest.in_(bindparam("digests", expanding=True)))
_LOCK: Final = (
    select(consent_family)
    .where(consent_family.c.family == bindparam("fam"), consent_family.c.iss == _ME)
    .with_for_update()
)
_OPEN_FAMILY: Final = insert(consent_family).on_conflict_do_nothing()
_KEEP: Final = insert(consent).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_ADVANCE: Final = (
    update(consent_family)
    .where(consent_family.c.family == bindparam("fam"), consent_family.c.iss == _ME)
    .values(newest=_CID)
)
_SHOWN: Final = (
    consent.c.cid,
    consent.c.family,
    consent.c.iss,
    consent.c.rcp,
    consent.c.jws,
    consent.c.exp,
    consent_family.c.status,
    consent_family.c.newest,
    consent_family.c.withdrawal,
)
_ONE: Final = (
    select(*_SHOWN)
    .join_from(consent, consent_family)
    .where(consent.c.cid == _CID, or_(consent.c.iss == _ME, consent.c.rcp == _ME))
)


def _page_of(party: Column[str], position: Column[int]) -> Select[Any]:
    """A page by one index; both pages share the caller's own counter, so they merge in one order."""
    return (
        select(*_SHOWN, position.label("position"))
        .join_from(consent, consent_family)
        .where(party == _ME, position > bindparam("after"))
        .order_by(position)
        .limit(bindparam("most"))
    )


_PAGES: Final = (
    select(_page_of(consent.c.iss, consent.c.iss_pos).subquery())
    .union_all(select(_page_of(consent.c.rcp, consent.c.rcp_pos).subquery()))
    .subquery()
)
_PAGE: Final = select(_PAGES).order_by(_PAGES.c.position).limit(bindparam("most"))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A consent as sent: read, not yet believed."""

    signed: Signed
    consent: Consent
    digest: Digest
    trace: Trace


def register(hub: Hub, caller: Caller, body: JsonValue) -> Released:
    """Register a signed consent of the caller, `body` being its JWS; 201, or 200 for the same bytes again.

    The steps are numbered in `_register`.
    Raises: Malformed, SenderMismatch, Replay, OriginMismatch, key errors, SigInvalid, AuthorityMissing,
    RecipientDenied, ScreeningDenied, ConsentExpired, ConsentMismatch, SubjectMismatch, ConsentWithdrawn,
    Conflict.
    """
    # (1) strict parse
    signed = Signed.from_json(body, LIMITS.consent_bytes)
    item = Consent.from_bytes(signed.payload)
    trace = Trace(
        act=Act.CONSENT_REGISTER,
        own=tuple({item.iss, item.rcp}),
        fld=tuple(sorted(item.fields)),
        family=item.family,
    )
    draft = _Draft(signed, item, Digest(b64u(sha256(signed.payload))), trace)
    return release(hub, caller, trace, lambda unit: _register(unit, caller, draft))


def one(hub: Hub, caller: Caller, cid: ConsentId) -> Released:
    """One consent that the caller issued or received. Raises: NotFound."""

    def work(unit: Unit) -> Answer:
        row = unit.conn.execute(_ONE, {"me": caller.agency, "cid": cid}).one_or_none()
        if row is None:
            raise NotFound("there is no such consent")
        trace = Trace(act=Act.CONSENT_READ, own=tuple({row.iss, row.rcp}), family=row.family)
        return Answer(body=_shown(row, unit), trace=trace)

    return release(hub, caller, Trace(act=Act.CONSENT_READ), work)


def listing(hub: Hub, caller: Caller, *, cursor: str | None, limit: int) -> Released:
    """A page of the consents that the caller issued or received, oldest first; `next` is null at the end.

    Raises: Malformed for a cursor that is not of this listing and caller.
    """
    origin = hub.settings.origin
    after = read_cursor(cursor, origin, LISTING, caller.agency)
    trace = Trace(act=Act.CONSENT_LIST)

    def work(unit: Unit) -> Answer:
        rows = unit.conn.execute(_PAGE, {"me": caller.agency, "after": after, "most": limit + 1}).all()
        page = rows[:limit]
        more = len(rows) > limit
        body: dict[str, JsonValue] = {
            "items": [_shown(row, unit) for row in page],
            "next": write_cursor(origin, LISTING, caller.agency, page[-1].position) if more else None,
        }
        return Answer(body=body, trace=trace)

    return release(hub, caller, trace, work, reads=True)


# -- registering ---------------------------------------------------------------------------------------


def _register(unit: Unit, caller: Caller, draft: _Draft) -> Answer:
    item, conn = draft.consent, unit.conn
    # (2) the caller is the issuer
    if item.iss != caller.agency:
        raise SenderMismatch("iss: only the issuer registers its consent", field="iss")
    # (3) idempotency
    same = _same(conn, draft)
    if same is not None:
        return same
    # (4) origin, (5) signed by active approvers of the issuer
    kids = verify(
        draft.signed,
        Consent.typ,
        origin=unit.hub.settings.origin,
        key_for=lambda kid: key_of(conn, kid, use="approver", agency=item.iss, now=unit.now),
    )
    _check_approvers(unit, item, kids)
    # (6) an active recipient, and (7) screened where it must be
    _check_recipient(unit, item)
    # (8) its times
    _check_times(unit, item)
    # (9) the family, locked
    conn.execute(_OPEN_FAMILY, {"family": item.family, "iss": item.iss, "status": "active", **_bound(item)})
    family = conn.execute(_LOCK, {"me": item.iss, "fam": item.family}).one_or_none()
    same = _same(conn, draft)
    if same is not None:
        return same
    _check_family(item, family)
    # (10) the rows, and the notices of a sharing on vital interest
    done = _enter(unit, draft)
    # (11) the journal, on its disk before the commit
    if item.supersedes is not None:
        signed = draft.signed.to_bytes()
        line = guard.Superseded(item.family, item.iss, int(unit.now.timestamp()), signed)
        guard.append(unit.hub.settings.guard_dir, line)
    return done


def _enter(unit: Unit, draft: _Draft) -> Answer:
    told = commissions(unit.conn) if draft.consent.vital else []
    _keep(unit, draft, told)
    if not draft.consent.vital:
        return _registered(draft, status=201)
    parties = tuple({*draft.trace.own, *told})
    return _registered(replace(draft, trace=replace(draft.trace, own=parties, pol=VITAL)), status=201)


def missing(conn: Connection, lines: Sequence[guard.Line]) -> list[guard.Superseded]:
    """Those lines of the guard journal whose newer consent is not in the database, in their order."""
    newer = [line for line in lines if isinstance(line, guard.Superseded)]
    digests = {line: Digest(b64u(sha256(_signed(line).payload))) for line in newer}
    found = set(conn.execute(_KNOWN, {"digests": [*digests.values()]}).scalars())
    return [line for line, digest in digests.items() if digest not in found]


def enter_again(unit: Unit, line: guard.Superseded) -> Answer | None:
    """The newer consent of a line of the guard journal, which the database had lost; None: nothing was lost.

    A family that is withdrawn, is not known or has gone another way is left alone.
    """
    signed = _signed(line)
    item = Consent.from_bytes(signed.payload)
    trace = Trace(act=Act.WITHDRAWAL_REPLAY, own=tuple({item.iss, item.rcp}), family=item.family)
    draft = _Draft(signed, item, Digest(b64u(sha256(signed.payload))), trace)
    family = unit.conn.execute(_LOCK, {"me": item.iss, "fam": item.family}).one_or_none()
    if family is None or family.status == "withdrawn" or family.newest != item.supersedes:
        return None
    return _enter(unit, draft)


def _signed(line: guard.Superseded) -> Signed:
    return Signed.from_bytes(line.consent, LIMITS.consent_bytes)


def _bound(item: Consent) -> dict[str, str]:
    return {"rcp": item.rcp, "subj": item.subj}


def _same(conn: Connection, draft: _Draft) -> Answer | None:
    """The first answer when these very bytes are registered already. Raises: Replay for other bytes."""
    found = conn.execute(_SAME, {"me": draft.consent.iss, "cid": draft.consent.cid}).one_or_none()
    if found is None:
        return None
    if found.digest != draft.digest:
        raise Replay("cid: another consent is registered under this id", field="cid")
    return replace(_registered(draft, status=200), receipt_of=found.entry_id)


def _check_approvers(unit: Unit, item: Consent, kids: Collection[Kid]) -> None:
    """Vital interest needs two persons, not two keys of one."""
    check_approvers(item, holders_of(unit.conn, item.iss, kids))
    if item.vital and item.exp - item.nbf > VITAL_INTEREST_MOST:
        raise AuthorityMissing(
            "authorities: vital interest lasts 72 hours at most",
            field="authorities",
            rule="C15-vital-interest",
        )


def _check_recipient(unit: Unit, item: Consent) -> None:
    party = party_of(read_parties(unit.conn, item.origin, (item.rcp,)), item.rcp)
    screened = party.public_authority or party.kind in SCREENED_KINDS
    if screened and item.screening.state != "cleared":
        raise ScreeningDenied(
            "screening: a consent to an embassy or a public authority needs a cleared protection screening",
            field="screening",
            rule="C16-screening",
        )


def _check_times(unit: Unit, item: Consent) -> None:
    if item.iat > unit.now + LIMITS.clock_leeway:
        raise Malformed("iat: in the future", field="iat")
    if item.exp <= unit.now:
        raise ConsentExpired("exp: the consent is over already", field="exp")


def _check_family(item: Consent, family: Row[*tuple[Any, ...]] | None) -> None:
    if family is None:
        raise ConsentMismatch("family: it is in use for other consents", field="family")
    if family.status == "withdrawn":
        raise ConsentWithdrawn("family: it was withdrawn; a new consent needs a new family", field="family")
    if family.rcp != item.rcp:
        raise ConsentMismatch("rcp: the family is for another recipient", field="rcp")
    if family.subj != item.subj:
        raise SubjectMismatch("subj: the family is about another child", field="subj")
    if family.newest != item.supersedes:
        raise Conflict(
            "supersedes: it must name the newest consent of the family, or nothing in a new family",
            field="supersedes",
        )


def _keep(unit: Unit, draft: _Draft, told: Sequence[AgencyId]) -> None:
    item, conn = draft.consent, unit.conn
    needed = counts((item.iss, item.rcp), told)
    first = take_positions(conn, needed)
    kept = conn.execute(
        _KEEP,
        {
            "cid": item.cid,
            "family": item.family,
            "iss": item.iss,
            "rcp": item.rcp,
            "digest": draft.digest,
            "jws": draft.signed.to_bytes(),
            "exp": int(item.exp.timestamp()),
            "iss_pos": first[item.iss],
            "rcp_pos": first[item.rcp],
            "entry_id": unit.entry_id,
        },
    )
    if kept.rowcount != 1:
        raise Replay("cid: another consent is registered under this id", field="cid")
    conn.execute(_ADVANCE, {"me": item.iss, "fam": item.family, "cid": item.cid})
    announce(unit, item, {agency: first[agency] + needed[agency] - 1 for agency in told})


def _registered(draft: _Draft, status: int) -> Answer:
    body: dict[str, JsonValue] = {"cid": draft.consent.cid, "digest": draft.digest, "status": "active"}
    return Answer(body=body, trace=draft.trace, status=status)


# -- reading -------------------------------------------------------------------------------------------


def _shown(row: Row[*tuple[Any, ...]], unit: Unit) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {
        "cid": row.cid,
        "status": _status(row, unit),
        "consent": decode(row.jws, limit=LIMITS.signed_object_bytes),
    }
    if row.withdrawal is not None:
        shown["withdrawal"] = decode(row.withdrawal, limit=LIMITS.signed_object_bytes)
    return shown


def _status(row: Row[*tuple[Any, ...]], unit: Unit) -> str:
    if row.status == "withdrawn":
        return "withdrawn"
    if row.exp <= unit.now.timestamp():
        return "expired"
    return "active" if row.newest == row.cid else "superseded"
