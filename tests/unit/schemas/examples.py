"""One good example of every payload object, and small builders; the tests bend these."""

from datetime import UTC, datetime, timedelta

from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening, Withdrawal
from exchange_schemas.enrolment import Enrolment, EnrolmentKey, Root
from exchange_schemas.entry import Act, Entry
from exchange_schemas.envelope import NO_PREVIOUS, GrantCore, Manifest, PartRef, TreeHead
from exchange_schemas.event import (
    AdmitEvent,
    DrainEvent,
    Event,
    ExpelEvent,
    GovernanceEvent,
    KeyEvent,
    Operator,
    ResumeEvent,
    RevokeEvent,
    RootSetEvent,
    SuspendEvent,
)
from exchange_schemas.receipt import RecipientReceipt

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ORIGIN = "exchange.example"


def some_id(n: int = 0):
    return b64u(n.to_bytes(16, "big"))


def some_digest(n: int = 1):
    return b64u(n.to_bytes(32, "big"))


def part(n: int, field: str) -> PartRef:
    return PartRef(p=some_id(n), f=field, len=300, sha256=some_digest(n))


def grant(**changes) -> GrantCore:
    values = {
        "origin": ORIGIN,
        "eid": some_id(1),
        "gid": some_id(2),
        "kind": "sighting",
        "thread": some_id(3),
        "snd": "ngo-one",
        "rcp": "commission",
        "rcp_kid": some_digest(4),
        "sch": 1,
        "pur": "trace",
        "cns": some_digest(5),
        "subj": some_digest(6),
        "iat": NOW,
        "exp": NOW + timedelta(days=30),
        "seq": 1,
        "prev": NO_PREVIOUS,
        "dir": TreeHead(size=12, root=some_digest(7)),
        "parts": (part(8, "child_ref"), part(9, "last_seen")),
    }
    return GrantCore(**(values | changes))


def manifest(**changes) -> Manifest:
    grants = tuple(sorted(some_digest(n) for n in (1, 2)))
    values = {"origin": ORIGIN, "eid": some_id(1), "snd": "ngo-one", "iat": NOW, "grants": grants}
    return Manifest(**(values | changes))


def authority(about: str = "child", basis: str = "best_interests_decision") -> Authority:
    return Authority(about=about, basis=basis, evidence_digest=some_digest(20))


def consent(**changes) -> Consent:
    values = {
        "origin": ORIGIN,
        "cid": some_id(10),
        "family": some_id(11),
        "iss": "ngo-one",
        "rcp": "commission",
        "pur": ("trace", "verify"),
        "fields": ("age_range", "child_ref", "sex"),
        "authorities": (authority(),),
        "screening": Screening(state="not_required"),
        "nbf": NOW,
        "exp": NOW + timedelta(days=90),
        "retention_days": 365,
        "subj": some_digest(12),
        "iat": NOW,
        "record": ConsentRecord(schema_version="27560-2023", language="ar", notice_digest=some_digest(13)),
        "thread": some_id(14),
        "after": (some_id(15), some_id(16)),
        "supersedes": some_id(17),
    }
    return Consent(**(values | changes))


def withdrawal(**changes) -> Withdrawal:
    values = {
        "origin": ORIGIN,
        "iss": "ngo-one",
        "family": some_id(11),
        "reason": "consent_withdrawn",
        "iat": NOW,
    }
    return Withdrawal(**(values | changes))


def receipt(**changes) -> RecipientReceipt:
    values = {
        "origin": ORIGIN,
        "gid": some_id(2),
        "grant": some_digest(3),
        "snd": "ngo-one",
        "rcp": "commission",
        "outcome": "refused",
        "code": "PART_DIGEST",
        "iat": NOW,
    }
    return RecipientReceipt(**(values | changes))


def operator(n: int) -> Operator:
    key = n.to_bytes(32, "big")
    return Operator(name=f"Operator {n}", kid=b64u(sha256(lp(b"Ed25519", key))), key=key)


FRAME = {"origin": ORIGIN, "iat": NOW}
KEY = {
    "agency": "ngo-one",
    "use": "approver",
    "alg": "Ed25519",
    "kid": some_digest(1),
    "nbf": NOW,
    "exp": NOW + timedelta(days=1),
}


def events() -> list[Event]:
    return [
        GovernanceEvent(**FRAME, k=2, operators=(operator(1), operator(2))),
        AdmitEvent(
            **FRAME,
            agency="ngo-one",
            name="Ngo Öne",
            kind="ngo",
            country="JO",
            public_authority=False,
            contact="desk@ngo.example",
            root=some_digest(1),
        ),
        RootSetEvent(**FRAME, agency="ngo-one", ed25519=bytes(32), mldsa65=some_digest(1)),
        KeyEvent(**FRAME, **KEY, holder="amal"),
        DrainEvent(**FRAME, agency="ngo-one", kid=some_digest(1), until=NOW),
        RevokeEvent(**FRAME, agency="ngo-one", kid=some_digest(1), reason="lost"),
        SuspendEvent(**FRAME, agency="ngo-one", reason="security"),
        ResumeEvent(**FRAME, agency="ngo-one"),
        ExpelEvent(**FRAME, agency="ngo-one", reason="agreement_ended"),
    ]


def jws() -> dict:
    return {
        "payload": b64u(b"{}"),
        "signatures": [{"protected": b64u(b"{}"), "signature": b64u(bytes(64))}],
    }


def enrolment(**changes) -> Enrolment:
    values = {
        "origin": ORIGIN,
        "agency": "ngo-one",
        "name": "Ngo One",
        "kind": "ngo",
        "country": "JO",
        "public_authority": False,
        "contact": "desk@ngo.example",
        "root": Root(ed25519=bytes(32), mldsa65=bytes(1952)),
        "events": (jws(),),
        "keys": (EnrolmentKey(kid=some_digest(1), key=bytes(32)),),
    }
    return Enrolment(**(values | changes))


def entry(**changes) -> Entry:
    values = {
        "log": "exchange.example/audit",
        "id": some_id(1),
        "ts": 1_795_435_200_000_000,
        "act": Act.GRANT_FETCH,
        "out": "deny",
        "own": ("commission", "ngo-one"),
        "fld": ("age_range", "sex"),
        "rsn": "CONSENT_WITHDRAWN",
        "org": "ngo-one",
        "knd": "sighting",
        "pur": "trace",
        "cns": some_digest(1),
        "rec": some_digest(2),
        "req": some_digest(3),
        "pol": "C07-standing",
        "opr": "op-1",
    }
    return Entry(**(values | changes))


def signed_payloads() -> list:
    return [grant(), manifest(), consent(), withdrawal(), receipt(), enrolment(), *events()]
