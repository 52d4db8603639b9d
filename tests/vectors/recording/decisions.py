"""The consent decision: an allowed request, and what each rule refuses. One change to facts for each case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any

from exchange.consent import (
    Confirmation,
    ConsentStanding,
    Deny,
    Party,
    Policy,
    ShareRequest,
    Side,
    Status,
    decide,
)
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import format_time, parse_time
from exchange_schemas.consent import Consent
from tests.vectors.recording.bending import bend
from tests.vectors.recording.seeds import NOW, ORIGIN, Case, an_id, digest
from tests.vectors.recording.sender import a_consent

ONE, TWO = an_id("one"), an_id("two")
Facts = dict[str, Any]


def _confirmation(eid: str, sender: str, recipient: str, reply: str | None) -> Facts:
    return {
        "eid": eid,
        "kind": "match_confirmation",
        "sender": sender,
        "recipient": recipient,
        "thread": an_id("thread"),
        "in_reply_to": reply,
        "decision": "same_child",
    }


def good_facts() -> Facts:
    """What a decision is made of, as JSON."""
    return {
        "side": "hub",
        "now": format_time(NOW),
        "request": {
            "origin": ORIGIN,
            "kind": "sighting",
            "sender": "ngo",
            "recipient": "embassy",
            "purpose": "trace",
            "fields": ["child_ref", "last_seen", "sex"],
            "thread": an_id("thread"),
            "subj": digest(b"subject"),
            "cns": digest(b"consent"),
        },
        "sender": {"agency": "ngo", "kind": "ngo", "country": "DE", "public_authority": False},
        "recipient": {"agency": "embassy", "kind": "embassy", "country": "JO", "public_authority": False},
        "consent": json.loads(a_consent(thread=an_id("thread")).to_bytes()),
        "status": "active",
        "newest": None,
        "confirmations": [],
        "policy": None,
    }


BASE = good_facts()
CONSENT = BASE["consent"]
NEWEST = {**CONSENT, "cid": an_id("newest"), "supersedes": CONSENT["cid"]}
CARE = {
    "request": {
        **BASE["request"],
        "kind": "information_response",
        "purpose": "care",
        "fields": ["current_facility"],
    },
    "consent": {**CONSENT, "pur": ["care"], "fields": ["current_facility"], "after": [ONE, TWO]},
    "confirmations": [_confirmation(ONE, "ngo", "embassy", None), _confirmation(TWO, "embassy", "ngo", ONE)],
}
REFERENCE = {
    "request": {**BASE["request"], "kind": "deletion_request", "fields": ["reason_code"]},
    "status": "withdrawn",
}
NONE = {
    "request": {
        **BASE["request"],
        "kind": "information_request",
        "fields": ["asked_fields", "need_code"],
        "subj": None,
        "cns": None,
    },
    "consent": None,
}
PUBLIC = {"kind": "authority"}


def _merged(base: Mapping[str, Any], *changes: tuple[str, Any]) -> Facts:
    value: Any = dict(base)
    for path, new in changes:
        value = bend(value, {"at": [int(x) if x.isdigit() else x for x in path.split(".")], "set": new})
    return dict(value)


def _with(*changes: tuple[str, Any], base: Mapping[str, Any] | None = None) -> Facts:
    return _merged({**BASE, **(base or {})}, *changes)


def _authority(basis: str) -> Facts:
    return {"about": "child", "basis": basis, "evidence_digest": digest(b"evidence")}


def _cases() -> dict[str, tuple[Facts, str | None]]:
    short = ("consent.exp", "2026-11-25T12:00:00Z")
    allowed = [
        {"snd": ["court", "ngo"], "rcp": ["embassy"], "pur": ["trace"], "fields": ["child_ref", "last_seen"]}
    ]
    whole = {**allowed[0], "fields": ["child_ref", "last_seen", "sex"]}
    superseded = ("status", "superseded")
    return {
        "allowed": (_with(), None),
        "allowed by all sides, sender": (_with(("side", "sender")), None),
        "allowed by all sides, recipient": (_with(("side", "recipient")), None),
        "an unknown kind": (_with(("request.kind", "rumour")), "C17-kind"),
        "a field that the kind has not": (
            _with(("request.fields", ["child_ref", "last_seen", "marks", "photo", "build"])),
            "C17-kind",
        ),
        "a need that is not met": (_with(("request.fields", ["child_ref"])), "C17-kind"),
        "no consent": (_with(("consent", None)), "C01-unknown"),
        "another deployment": (_with(("consent.origin", "x.example")), "C02-origin"),
        "another issuer": (_with(("consent.iss", "commission")), "C03-issuer"),
        "another sender": (_with(("sender.agency", "commission")), "C03-issuer"),
        "another recipient of the consent": (_with(("consent.rcp", "commission")), "C04-recipient"),
        "withdrawn": (_with(("status", "withdrawn")), "C05-withdrawn"),
        "at its end": (_with(("now", CONSENT["exp"])), "C07-time"),
        "before its end": (_with(("consent.exp", "2026-11-23T12:00:01Z")), None),
        "before its beginning": (_with(("consent.nbf", "2026-11-23T12:00:01Z")), "C07-time"),
        "before its beginning, a client": (
            _with(("consent.nbf", "2026-11-23T12:02:00Z"), ("side", "sender")),
            None,
        ),
        "before its beginning for a client as well": (
            _with(("consent.nbf", "2026-11-23T12:02:01Z"), ("side", "recipient")),
            "C07-time",
        ),
        "over for the hub, not for a client": (
            _with(("consent.exp", "2026-11-23T11:58:01Z"), ("side", "recipient")),
            None,
        ),
        "over for a client": (
            _with(("consent.exp", "2026-11-23T11:58:00Z"), ("side", "recipient")),
            "C07-time",
        ),
        "another child": (_with(("request.subj", digest(b"x"))), "C08-subject"),
        "no subject": (_with(("request.subj", None)), "C08-subject"),
        "another thread": (_with(("request.thread", an_id("x"))), "C09-thread"),
        "no thread in the consent": (
            _with(("request.thread", an_id("x")), ("consent.thread", None)),
            None,
        ),
        "a purpose outside the consent": (_with(("request.purpose", "care")), "C10-purpose"),
        "a purpose that the kind has not": (
            _with(
                ("request.kind", "match_answer"),
                ("request.fields", ["candidate_ref", "comparison"]),
                ("request.purpose", "verify"),
            ),
            "C10-purpose",
        ),
        "a field outside the consent": (_with(("consent.fields", ["child_ref", "last_seen"])), "C11-field"),
        "a field that is not for the purpose": (
            _with(
                ("request.purpose", "health"),
                ("consent.pur", ["health"]),
            ),
            "C12-field-purpose",
        ),
        "consent as a basis, at home": (
            _with(
                ("consent.authorities", [_authority("consent")]),
                ("sender.kind", "court"),
                ("sender.country", "JO"),
            ),
            None,
        ),
        "consent as a basis, a public authority abroad": (
            _with(("consent.authorities", [_authority("consent")]), ("sender.kind", "court")),
            "C14-third-country",
        ),
        "consent as a basis, a public body abroad": (
            _with(("consent.authorities", [_authority("consent")]), ("sender.public_authority", True)),
            "C14-third-country",
        ),
        "consent as a basis, not public": (_with(("consent.authorities", [_authority("consent")])), None),
        "vital interest for 72 hours": (
            _with(
                ("consent.authorities", [_authority("vital_interest")]),
                ("consent.nbf", "2026-11-22T12:00:00Z"),
                short,
            ),
            None,
        ),
        "vital interest for longer": (
            _with(
                ("consent.authorities", [_authority("vital_interest")]),
                ("consent.nbf", "2026-11-22T11:59:59Z"),
                short,
            ),
            "C15-vital-interest",
        ),
        "no screening for an embassy": (
            _with(("consent.screening", {"state": "not_required"})),
            "C16-screening",
        ),
        "no screening, recipient": (
            _with(("consent.screening", {"state": "not_required"}), ("side", "recipient")),
            None,
        ),
        "no screening for an NGO": (
            _with(("consent.screening", {"state": "not_required"}), ("recipient.kind", "ngo")),
            None,
        ),
        "no screening for a public NGO": (
            _with(
                ("consent.screening", {"state": "not_required"}),
                ("recipient.kind", "ngo"),
                ("recipient.public_authority", True),
            ),
            "C16-screening",
        ),
        "after both confirmations": (_with(base=CARE), None),
        "after both confirmations, a client": (_with(("side", "sender"), base=CARE), None),
        "without after": (_with(("consent.after", None), base=CARE), "C18-stage"),
        "one confirmation": (
            _with(("confirmations", CARE["confirmations"][:1]), base=CARE),  # type: ignore[index]
            "C18-stage",
        ),
        "both from one side": (
            _with(("confirmations.1.sender", "ngo"), ("confirmations.1.recipient", "embassy"), base=CARE),
            "C18-stage",
        ),
        "neither answers the other": (_with(("confirmations.1.in_reply_to", None), base=CARE), "C18-stage"),
        "of another thread": (_with(("confirmations.0.thread", an_id("x")), base=CARE), "C18-stage"),
        "another kind": (_with(("confirmations.0.kind", "match_answer"), base=CARE), "C18-stage"),
        "not the same child, the hub": (_with(("confirmations.0.decision", "unsure"), base=CARE), None),
        "not the same child, a client": (
            _with(("confirmations.0.decision", "unsure"), ("side", "recipient"), base=CARE),
            "C18-stage",
        ),
        "an agreement that allows it": (
            _with(("policy", [whole])),
            None,
        ),
        "an agreement, recipient": (_with(("policy", allowed), ("side", "recipient")), "C20-policy"),
        "an agreement the other way round": (
            _with(("policy", [{**whole, "snd": ["embassy"], "rcp": ["ngo"]}])),
            "C20-policy",
        ),
        "an agreement for one of several kinds": (
            _with(("policy", [{**whole, "snd": ["court"]}, {**whole, "snd": ["embassy", "ngo"]}])),
            None,
        ),
        "no agreement is asked of a reference": (_with(("policy", []), base=REFERENCE), None),
        "superseded, both within the agreement": (
            _with(superseded, ("newest", NEWEST), ("policy", [whole])),
            None,
        ),
        "an agreement without a field": (_with(("policy", allowed)), "C20-policy"),
        "an agreement for another purpose": (
            _with(("policy", [{**allowed[0], "pur": ["care"]}])),
            "C20-policy",
        ),
        "no agreement for these kinds": (_with(("policy", [])), "C20-policy"),
        "superseded, the newest allows it": (_with(superseded, ("newest", NEWEST)), None),
        "superseded, the newest has not the field": (
            _with(superseded, ("newest", {**NEWEST, "fields": ["child_ref", "last_seen"]})),
            "C06-superseded",
        ),
        "superseded, of another family": (
            _with(superseded, ("newest", {**NEWEST, "family": an_id("x")})),
            "C06-superseded",
        ),
        "superseded, no newest": (_with(superseded), "C06-superseded"),
        "superseded, the old one has not the field": (
            _with(superseded, ("newest", NEWEST), ("consent.fields", ["child_ref", "last_seen"])),
            "C11-field",
        ),
        "a reference under a withdrawn consent": (_with(base=REFERENCE), None),
        "a reference under a consent that is over": (
            _with(("now", "2028-01-01T00:00:00Z"), base=REFERENCE),
            None,
        ),
        "a reference by the recipient of the consent": (
            _with(
                ("request.sender", "embassy"),
                ("request.recipient", "ngo"),
                ("sender.agency", "embassy"),
                ("recipient.agency", "ngo"),
                base=REFERENCE,
            ),
            None,
        ),
        "a reference to a consent of others": (
            _with(("consent.rcp", "commission"), base=REFERENCE),
            "C03-issuer",
        ),
        "a reference without a subject": (_with(("request.subj", None), base=REFERENCE), None),
        "a reference to another child": (
            _with(("request.subj", digest(b"x")), base=REFERENCE),
            "C08-subject",
        ),
        "a reference in another thread": (
            _with(("request.thread", an_id("x")), base=REFERENCE),
            "C09-thread",
        ),
        "a reference with a field of a record": (
            _with(("request.fields", ["reason_code", "sex"]), base=REFERENCE),
            "C17-kind",
        ),
        "a reference to a consent that is not there": (
            _with(("consent", None), base=REFERENCE),
            "C01-unknown",
        ),
        "a reference to nothing": (
            _with(("consent", None), ("request.cns", None), ("request.subj", None), base=REFERENCE),
            None,
        ),
        "a request for information": (_with(base=NONE), None),
        "a request with a purpose that is none": (
            _with(("request.purpose", "curiosity"), base=NONE),
            "C10-purpose",
        ),
        "for itself": (
            _with(("request.recipient", "ngo"), ("consent", None), ("recipient.agency", "ngo")),
            None,
        ),
        "for itself, a field that the kind has not": (
            _with(("request.recipient", "ngo"), ("request.fields", ["child_ref", "last_seen", "build"])),
            "C17-kind",
        ),
    }


def rule_of(facts: Facts) -> tuple[str | None, str | None]:
    """Code and tag of the decision; None, None when it is allowed."""
    request = {item.name: facts["request"].get(item.name) for item in fields_of(ShareRequest)}
    newest = None if facts["newest"] is None else _consent(facts["newest"])
    decision = decide(
        ShareRequest(**request),
        None if facts["consent"] is None else _consent(facts["consent"]),
        ConsentStanding(Status(facts["status"]), newest),
        Party(**facts["recipient"]),
        parse_time(facts["now"], field="now"),
        load_catalogue(),
        sender=Party(**facts["sender"]),
        side=Side(facts["side"]),
        confirmations={item["eid"]: Confirmation(**item) for item in facts["confirmations"]},
        policy=_policy(facts["policy"]),
    )
    return (decision.code, decision.rule) if isinstance(decision, Deny) else (None, None)


def _consent(members: Facts) -> Consent:
    return Consent.from_members({name: item for name, item in members.items() if item is not None})


def _policy(agreements: list[Facts] | None) -> Policy:
    if agreements is None:
        return Policy()
    found = [SharingAgreement(**{name: tuple(listed) for name, listed in one.items()}) for one in agreements]
    return Policy.of(1, found)


def decision_file() -> Case:
    cases = []
    for name, (facts, rule) in _cases().items():
        code, found = rule_of(facts)
        if found != rule:
            raise AssertionError(f"{name}: {found} and not {rule}")
        cases.append({"name": name, "facts": facts, "error": code, "rule": rule})
    return {"cases": cases}
