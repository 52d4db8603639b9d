"""A consent, a request and two parties for the tests of the consent rules; each allowed as it stands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from exchange.consent import (
    Confirmation,
    ConsentStanding,
    Decision,
    Deny,
    Party,
    ShareRequest,
    decide,
)
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, FamilyId, ThreadId

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
CATALOGUE = load_catalogue()
ORIGIN = "homeward.test"
HOLDER = Party(AgencyId("holder"), "ngo", "DE", False)
FINDER = Party(AgencyId("finder"), "ngo", "DE", False)
ABROAD = replace(FINDER, country="TR")
EVIDENCE = Digest("E" * 42 + "A")
SUBJECT = Digest("S" * 42 + "A")
OTHER_CHILD = Digest("T" * 42 + "A")
THREAD = ThreadId("t" * 21 + "A")
OTHER_THREAD = ThreadId("u" * 21 + "A")
ONE, TWO = EnvelopeId("1" * 21 + "A"), EnvelopeId("2" * 21 + "A")
FIELDS = ("child_ref", "name_given", "sex", "age_range", "current_area")


def authority(about: str, basis: str = "best_interests_decision") -> Authority:
    return Authority(about=about, basis=basis, evidence_digest=EVIDENCE)


def consent(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "cid": ConsentId("c" * 21 + "A"),
        "family": FamilyId("f" * 21 + "A"),
        "iss": HOLDER.agency,
        "rcp": FINDER.agency,
        "pur": ("trace", "verify"),
        "fields": tuple(sorted((*FIELDS, "relatives", "photo"))),
        "authorities": (authority("child"), authority("relative", "public_task")),
        "screening": Screening(state="not_required"),
        "nbf": NOW - timedelta(days=1),
        "exp": NOW + timedelta(days=30),
        "retention_days": 90,
        "subj": SUBJECT,
        "iat": NOW - timedelta(days=1),
        "record": ConsentRecord(schema_version="1"),
    }
    return Consent(**(values | changes))


def request(**changes: Any) -> ShareRequest:
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "kind": "found_notice",
        "sender": HOLDER.agency,
        "recipient": FINDER.agency,
        "purpose": "trace",
        "fields": FIELDS,
        "thread": THREAD,
        "subj": SUBJECT,
        "cns": Digest("D" * 42 + "A"),
    }
    return ShareRequest(**(values | changes))


def judge(
    asked: ShareRequest | None = None,
    given_consent: Consent | None = None,
    standing: ConsentStanding | None = None,
    *,
    recipient: Party = FINDER,
    now: datetime = NOW,
    **named: Any,
) -> Decision:
    return decide(
        request() if asked is None else asked,
        consent() if given_consent is None else given_consent,
        ConsentStanding() if standing is None else standing,
        recipient,
        now,
        CATALOGUE,
        **({"sender": HOLDER} | named),
    )


def rule_of(decision: Decision) -> str:
    assert isinstance(decision, Deny)
    return decision.rule


def confirmation(eid: EnvelopeId, **changes: Any) -> Confirmation:
    mine = eid == ONE
    values: dict[str, Any] = {
        "eid": eid,
        "kind": "match_confirmation",
        "sender": HOLDER.agency if mine else FINDER.agency,
        "recipient": FINDER.agency if mine else HOLDER.agency,
        "thread": THREAD,
        "in_reply_to": None if mine else ONE,
        "decision": "same_child",
    }
    return Confirmation(**(values | changes))
