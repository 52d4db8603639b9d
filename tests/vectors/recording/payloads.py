"""Payloads: one good example of every object, and every way in which one of its members can be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import b64u, encode
from exchange_schemas.consent import Consent, Withdrawal
from exchange_schemas.enrolment import Enrolment
from exchange_schemas.envelope import NO_PREVIOUS, GrantCore, Manifest
from exchange_schemas.event import read_event
from exchange_schemas.receipt import RecipientReceipt
from exchange_schemas.tombstone import Tombstone
from tests.vectors.recording.bending import Change, bend, faults
from tests.vectors.recording.seeds import ORIGIN, Case, an_id, code_of, digest, signing

READERS: Mapping[str, Callable[[bytes], object]] = {
    "hx-grant": GrantCore.from_bytes,
    "hx-manifest": Manifest.from_bytes,
    "hx-consent": Consent.from_bytes,
    "hx-withdrawal": Withdrawal.from_bytes,
    "hx-receipt": RecipientReceipt.from_bytes,
    "hx-event": read_event,
    "hx-enrol": Enrolment.from_bytes,
    "tombstone": Tombstone.from_bytes,
}
T1, T2 = "2026-11-23T12:00:00Z", "2026-12-23T12:00:00Z"
D1, D2 = digest(b"1"), digest(b"2")
Members = dict[str, Any]


def _frame(typ: str) -> Members:
    return {"v": 1, "typ": typ, "origin": ORIGIN}


def _part(name: str, **changes: Any) -> Members:
    return {"p": an_id(name), "f": name, "len": 300, "sha256": digest(name.encode()), **changes}


GRANT = {
    **_frame("hx-grant"),
    "eid": an_id("eid"),
    "gid": an_id("gid"),
    "kind": "sighting",
    "thread": an_id("thread"),
    "snd": "agency-a",
    "rcp": "agency-b",
    "rcp_kid": D1,
    "sch": 1,
    "pur": "trace",
    "cns": D1,
    "subj": D2,
    "iat": T1,
    "exp": T2,
    "reply_by": T2,
    "in_reply_to": an_id("before"),
    "supersedes": an_id("older"),
    "seq": 2,
    "prev": D1,
    "dir": {"size": 3, "root": D1},
    "parts": [_part("child_ref"), _part("last_seen"), _part("match_level")],
}
ASKED = {name: value for name, value in GRANT.items() if name not in {"cns", "subj"}} | {
    "kind": "information_request"
}
MANIFEST = {
    **_frame("hx-manifest"),
    "eid": an_id("eid"),
    "snd": "agency-a",
    "iat": T1,
    "grants": sorted([D1, D2]),
}
AUTHORITY = {"about": "child", "basis": "best_interests_decision", "evidence_digest": D1}
CONSENT = {
    **_frame("hx-consent"),
    "cid": an_id("cid"),
    "family": an_id("family"),
    "iss": "agency-a",
    "rcp": "agency-b",
    "thread": an_id("thread"),
    "pur": ["trace", "verify"],
    "fields": ["age_range", "child_ref", "relatives"],
    "authorities": [AUTHORITY, {**AUTHORITY, "about": "relative", "basis": "public_task"}],
    "screening": {"state": "cleared", "evidence_digest": D1},
    "after": [an_id("one"), an_id("two")],
    "nbf": T1,
    "exp": T2,
    "retention_days": 90,
    "subj": D1,
    "supersedes": an_id("older"),
    "iat": T1,
    "record": {
        "schema_version": "27560-2023",
        "record_id": an_id("record"),
        "notice_language": "ar",
        "notice_digest": D1,
        "language": "zh-Hant-TW",
        "collection_method": "on_paper",
        "jurisdiction": "JO",
        "storage_location": "DE",
        "lawful_basis_note": "Article 6(1)(e)",
        "withdrawal_method": "In person",
        "privacy_rights": "See the notice",
        "code_of_conduct": "None",
        "impact_assessment_digest": D2,
    },
}
WITHDRAWAL = {
    **_frame("hx-withdrawal"),
    "iss": "agency-a",
    "family": an_id("family"),
    "reason": "consent_withdrawn",
    "iat": T1,
}
RECEIPT = {
    **_frame("hx-receipt"),
    "gid": an_id("gid"),
    "grant": D1,
    "snd": "agency-a",
    "rcp": "agency-b",
    "outcome": "refused",
    "code": "PART_DIGEST",
    "iat": T1,
}
_OPERATOR = signing("operator").public
EVENT = {**_frame("hx-event"), "iat": T1}
GOVERNANCE = {
    **EVENT,
    "event": "governance",
    "k": 1,
    "operators": [{"name": "Ann", "kid": _OPERATOR.kid, "key": b64u(_OPERATOR.raw)}],
}
ADMIT = {
    **EVENT,
    "event": "admit",
    "agency": "agency-a",
    "name": "Agency A",
    "kind": "ngo",
    "country": "DE",
    "public_authority": False,
    "contact": "office@agency-a.example",
    "root": D1,
}
ROOT_SET = {**EVENT, "event": "root-set", "agency": "agency-a", "ed25519": b64u(bytes(32)), "mldsa65": D1}
KEY = {
    **EVENT,
    "event": "key",
    "agency": "agency-a",
    "use": "approver",
    "alg": "Ed25519",
    "kid": D1,
    "nbf": T1,
    "exp": T2,
    "holder": "amal",
}
DRAIN = {**EVENT, "event": "drain", "agency": "agency-a", "kid": D1, "until": T2}
REVOKE = {**EVENT, "event": "revoke", "agency": "agency-a", "kid": D1, "reason": "lost"}
SUSPEND = {**EVENT, "event": "suspend", "agency": "agency-a", "reason": "security"}
RESUME = {**EVENT, "event": "resume", "agency": "agency-a"}
EXPEL = {**EVENT, "event": "expel", "agency": "agency-a", "reason": "agreement_ended"}
AGREEMENT = {
    "snd": ["embassy", "ngo"],
    "rcp": ["psychosocial"],
    "pur": ["care", "health"],
    "fields": ["age_range", "sex"],
}
AGREEMENTS = {**EVENT, "event": "agreements", "version": 2, "agreements": [AGREEMENT]}
JWS = {
    "payload": b64u(b"{}"),
    "signatures": [{"protected": b64u(b"{}"), "signature": b64u(bytes(64))}],
}
ENROLMENT = {
    **_frame("hx-enrol"),
    "agency": "agency-a",
    "name": "Agency A",
    "kind": "ngo",
    "country": "DE",
    "public_authority": True,
    "contact": "office@agency-a.example",
    "root": {"ed25519": b64u(bytes(32)), "mldsa65": b64u(bytes(1952))},
    "events": [JWS],
    "keys": [{"kid": D1, "key": b64u(bytes(32))}],
}
TOMBSTONE = {"seq": 1, "digest": D1, "reason": "CONSENT_WITHDRAWN", "withdrawal": JWS}
EXAMPLES: Mapping[str, tuple[str, Members]] = {
    "grant": ("hx-grant", GRANT),
    "request": ("hx-grant", ASKED),
    "manifest": ("hx-manifest", MANIFEST),
    "consent": ("hx-consent", CONSENT),
    "withdrawal": ("hx-withdrawal", WITHDRAWAL),
    "receipt": ("hx-receipt", RECEIPT),
    "governance": ("hx-event", GOVERNANCE),
    "admit": ("hx-event", ADMIT),
    "root-set": ("hx-event", ROOT_SET),
    "key": ("hx-event", KEY),
    "drain": ("hx-event", DRAIN),
    "revoke": ("hx-event", REVOKE),
    "suspend": ("hx-event", SUSPEND),
    "resume": ("hx-event", RESUME),
    "expel": ("hx-event", EXPEL),
    "agreements": ("hx-event", AGREEMENTS),
    "enrolment": ("hx-enrol", ENROLMENT),
    "tombstone": ("tombstone", TOMBSTONE),
}
_WRONG: tuple[Any, ...] = (None, "?", "", 7, -1, True, [], {})


def _many(count: int) -> list[Members]:
    """As many agreements for pairs of their own as there can be, and one more for a pair again."""
    kinds = load_catalogue().agency_kinds
    pairs = [(snd, rcp) for snd in kinds for rcp in kinds]
    return [{**AGREEMENT, "snd": [snd], "rcp": [rcp]} for snd, rcp in pairs[:count]]


# name of the example: (what, changed members)
SPECIAL: Mapping[str, Mapping[str, Members]] = {
    "grant": {
        "to itself without a consent": {"rcp": "agency-a", "cns": None, "subj": None, "reply_by": None},
        "no consent and no subject": {"cns": None, "subj": None},
        "without parts": {"parts": []},
        "exp is iat": {"exp": T1},
        "another catalogue": {"sch": 2},
        "another version and catalogue": {"v": 2, "sch": 2},
        "the first with a predecessor": {"seq": 1},
        "the first": {"seq": 1, "prev": NO_PREVIOUS},
        "the second without a predecessor": {"prev": NO_PREVIOUS},
        "the largest number": {"seq": 2**53 - 1},
        "a field twice": {"parts": [_part("sex"), _part("sex", p=an_id("p"))]},
        "a part twice": {"parts": [_part("sex"), _part("marks", p=an_id("sex"))]},
        "64 parts": {"parts": [_part("sex")] * 64},
        "65 parts": {"parts": [_part("sex")] * 65},
        "an unknown field": {"parts": [_part("shoe_size")]},
        "the longest part": {"parts": [_part("photo", len=26_764_872)]},
        "a part that is too long": {"parts": [_part("photo", len=26_764_873)]},
        "another kind without its header": {"kind": "declined", "reply_by": None},
    },
    "request": {"with a consent": {"cns": D1, "subj": D2}},
    "manifest": {
        "not sorted": {"grants": sorted([D1, D2], reverse=True)},
        "a grant twice": {"grants": [D1, D1]},
        "65 grants": {"grants": sorted(digest(bytes([n])) for n in range(65))},
        "66 grants": {"grants": sorted(digest(bytes([n])) for n in range(66))},
    },
    "consent": {
        "to itself": {"rcp": "agency-a"},
        "purposes not sorted": {"pur": ["verify", "trace"]},
        "fields not sorted": {"fields": ["sex", "age_range"]},
        "a field twice": {"fields": ["sex", "sex"]},
        "no field": {"fields": []},
        "no purpose": {"pur": []},
        "an unknown field": {"fields": ["shoe_size"]},
        "a field of a message": {"fields": ["match_level"]},
        "no authority for a subject": {"authorities": [AUTHORITY]},
        "two authorities for a subject": {"authorities": [AUTHORITY, AUTHORITY]},
        "cleared without evidence": {"screening": {"state": "cleared"}},
        "not required": {"screening": {"state": "not_required"}},
        "not required with evidence": {"screening": {"state": "not_required", "evidence_digest": D1}},
        "after one": {"after": [an_id("one")]},
        "after the same twice": {"after": [an_id("one"), an_id("one")]},
        "exp is nbf": {"exp": T1},
        "18 years": {"exp": "2044-11-23T12:00:00Z"},
        "18 years and a second": {"exp": "2044-11-23T12:00:01Z"},
        "18 years from a leap day": {"nbf": "2024-02-29T00:00:00Z", "exp": "2042-03-01T00:00:00Z"},
        "more than 18 years from a leap day": {"nbf": "2024-02-29T00:00:00Z", "exp": "2042-03-01T00:00:01Z"},
        "to the end of time": {"nbf": "9990-01-01T00:00:00Z", "exp": "9999-12-31T23:59:59Z"},
        "kept too long": {"retention_days": 6571},
        "superseding itself": {"supersedes": an_id("cid")},
        "a note that is too long": {"record": {"schema_version": "1", "lawful_basis_note": "x" * 201}},
        "a note of the longest": {"record": {"schema_version": "1", "lawful_basis_note": "x" * 200}},
        "a note of wide characters": {
            "record": {"schema_version": "1", "code_of_conduct": "\U00010d00" * 80}
        },
        "a note not in normal form": {"record": {"schema_version": "1", "code_of_conduct": "e\u0301"}},
        "a note with an override": {"record": {"schema_version": "1", "code_of_conduct": "a\u202eb"}},
        "a note of spaces": {"record": {"schema_version": "1", "code_of_conduct": "\u00a0 \u3000"}},
        "a note of a zero-width space": {"record": {"schema_version": "1", "code_of_conduct": "\u200b"}},
        "a note of a byte order mark": {"record": {"schema_version": "1", "code_of_conduct": "\ufeff"}},
        "a note with a line separator": {"record": {"schema_version": "1", "code_of_conduct": "a\u2028b"}},
    },
    "receipt": {
        "opened": {"outcome": "opened", "code": None},
        "opened with a code": {"outcome": "opened"},
        "a code that is no protocol code": {"code": "TOO_LARGE"},
    },
    "governance": {
        "k over the operators": {"k": 2},
        "a kid of another key": {"operators": [{**GOVERNANCE["operators"][0], "kid": D1}]},  # type: ignore[dict-item, index]
        "an operator twice": {"operators": GOVERNANCE["operators"] * 2},  # type: ignore[operator]
    },
    "agreements": {
        "none": {"agreements": []},
        "64 agreements": {"agreements": _many(64)},
        "65 agreements": {"agreements": _many(65)},
        "two for one pair": {"agreements": [AGREEMENT, {**AGREEMENT, "snd": ["court", "ngo"]}]},
        "two for other pairs": {"agreements": [AGREEMENT, {**AGREEMENT, "snd": ["court"]}]},
        "kinds not sorted": {"agreements": [{**AGREEMENT, "snd": ["ngo", "embassy"]}]},
        "a kind twice": {"agreements": [{**AGREEMENT, "rcp": ["ngo", "ngo"]}]},
        "no sender": {"agreements": [{**AGREEMENT, "snd": []}]},
        "no field": {"agreements": [{**AGREEMENT, "fields": []}]},
        "a field of a message": {"agreements": [{**AGREEMENT, "fields": ["match_level"]}]},
        "fields not sorted": {"agreements": [{**AGREEMENT, "fields": ["sex", "age_range"]}]},
        "version 0": {"version": 0},
    },
    "key": {
        "an algorithm of another use": {"alg": "X-Wing"},
        "exp is nbf": {"exp": T1},
        "an enc key": {"use": "enc", "alg": "X-Wing", "holder": None},
        "a root key": {"use": "root"},
    },
    "enrolment": {
        "a key twice": {"keys": ENROLMENT["keys"] * 2},  # type: ignore[operator]
        "33 events": {"events": [JWS] * 33},
        "34 events": {"events": [JWS] * 34},
    },
    "tombstone": {
        "without a withdrawal": {"reason": "GRANT_EXPIRED", "withdrawal": None},
        "another reason": {"reason": "PART_DIGEST"},
        "a signature that is too long": {
            "withdrawal": {**JWS, "signatures": [{"protected": "AA", "signature": b64u(bytes(4097))}]}
        },
    },
}


def payload_file() -> Case:
    cases: list[Case] = []

    def add(name: str, of: str, *changes: Change) -> None:
        typ, value = EXAMPLES[of]
        for change in changes:
            value = bend(value, change)
        data = encode(value)
        error = code_of(lambda: READERS[typ](data))
        cases.append({"name": f"{of}: {name}", "of": of, "changes": list(changes), "error": error})

    for of, (typ, members) in EXAMPLES.items():
        add("good", of)
        if "v" in members:
            add("another version", of, {"at": ["v"], "set": 2})
            other: Change = {"at": ["typ"], "set": "hx-receipt" if typ != "hx-receipt" else "hx-grant"}
            add("another type", of, other)
            add("another type and version", of, other, {"at": ["v"], "set": 2})
        for number, change in enumerate(faults(members, _WRONG)):
            add(f"fault {number + 1}", of, change)
        for what, merged in SPECIAL.get(of, {}).items():
            add(what, of, {"at": [], "merge": merged})
    examples = {of: {"typ": typ, "value": members} for of, (typ, members) in EXAMPLES.items()}
    return {"examples": examples, "cases": cases}
