"""The dry run of a decision: what the recipient of a consent would receive now, and why not the rest.

For the two parties of the consent alone. It decides as a deposit does, changes nothing, and is logged; it
promises nothing for a later moment. The hub sees names: what a content holds, the withhold list and the
detention rule are checked by the sender's program alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, or_, select

from exchange.consent import Deny, Policy, Preview, ShareRequest, preview
from exchange.hub.models.consents import consent
from exchange.hub.services.agreements import policy_now, tag
from exchange.hub.services.parties import party_of, read_parties
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange.hub.services.standings import Held, confirmations_of, held_in, holding
from exchange.hub.sql import together
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.entry import Act
from exchange_schemas.errors import NotFound
from exchange_schemas.ids import ConsentId, Digest, ThreadId

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_schemas.codec import JsonValue

_DIGEST: Final = select(consent.c.digest).where(
    consent.c.cid == bindparam("cid"), or_(consent.c.iss == bindparam("me"), consent.c.rcp == bindparam("me"))
)
_NO_THREAD: Final = ThreadId("A" * 22)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: would a message of this kind with these parts go, for this purpose, in this thread?"""

    cid: ConsentId
    kind: str
    purpose: str
    names: Collection[str]
    thread: ThreadId | None


def check(hub: Hub, caller: Caller, question: Question) -> Released:
    """The dry run under one consent that the caller issued or received. Raises: NotFound, RecipientDenied."""
    trace = Trace(
        act=Act.CONSENT_CHECK,
        fld=tuple(sorted(set(question.names))),
        knd=question.kind,
        pur=question.purpose,
    )

    def work(unit: Unit) -> Answer:
        held, policy = _held(unit, caller, question.cid), policy_now(unit)
        parties = (held.consent.iss, held.consent.rcp)
        told = Trace(
            act=trace.act,
            own=parties,
            fld=trace.fld,
            knd=trace.knd,
            pur=trace.pur,
            family=held.consent.family,
            pol=tag(policy),
        )
        return Answer(body=_body(_preview(unit, caller, held, question, policy), policy), trace=told)

    return release(hub, caller, trace, work)


def _held(unit: Unit, caller: Caller, cid: ConsentId) -> Held:
    digest = unit.conn.execute(_DIGEST, {"cid": cid, "me": caller.agency}).scalar_one_or_none()
    if digest is None:
        raise NotFound("there is no such consent")
    named = (Digest(digest),)
    (families,) = together(unit.conn, holding(caller.agency, named))
    return held_in(unit.conn, caller.agency, named, families.rows)[named[0]]


def _preview(unit: Unit, caller: Caller, held: Held, question: Question, policy: Policy) -> Preview:
    item = held.consent
    directory = read_parties(unit.conn, item.origin, {item.iss, item.rcp})
    other = item.rcp if caller.agency == item.iss else item.iss
    confirmed = confirmations_of(unit.conn, caller.agency, held.judged())
    asked = ShareRequest(
        origin=unit.hub.settings.origin,
        kind=question.kind,
        sender=item.iss,
        recipient=item.rcp,
        purpose=question.purpose,
        fields=tuple(question.names),
        thread=question.thread or item.thread or _NO_THREAD,
        subj=item.subj,
    )
    return preview(
        asked,
        item,
        held.standing,
        party_of(directory, item.rcp),
        unit.now,
        load_catalogue(),
        sender=party_of(directory, item.iss),
        confirmations=confirmed.get(other, {}),
        policy=policy,
    )


def _body(found: Preview, policy: Policy) -> dict[str, JsonValue]:
    body: dict[str, Any] = {
        "given": list(found.given),
        "withheld": [{"field": name, **_denial(denied)} for name, denied in found.withheld],
        "decision": "deny" if isinstance(found.whole, Deny) else "allow",
        "agreements": policy.version,
    }
    if isinstance(found.whole, Deny):
        body["denial"] = _denial(found.whole)
    return body


def _denial(denied: Deny) -> dict[str, JsonValue]:
    return {
        "rule": denied.rule,
        "code": denied.code,
        "reason": denied.reason,
        "remedy": denied.remedy,
    }
