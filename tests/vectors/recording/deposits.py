"""Deposits at a hub: what is taken, and which refusal wins where several apply.

A ladder begins with a deposit that is wrong in every way of its list, and mends the first fault at each rung:
so every code is shown to come before all that follow it, and the last rung is taken. A refused deposit leaves
nothing behind, so every case begins where `before` ends.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from exchange_keys.envelope import SealedEnvelope
from exchange_keys.grants import grant_digest
from exchange_keys.jws import sign
from exchange_keys.manifest import sign_manifest
from exchange_keys.signing import SigningKey
from exchange_schemas import record
from exchange_schemas.codec import b64u, format_time, unb64u
from exchange_schemas.consent import Consent, Withdrawal
from exchange_schemas.ids import ConsentId, EnvelopeId, FamilyId
from tests.vectors.recording.seeds import NOW, ORIGIN, Case, an_id, digest, enc, flipped
from tests.vectors.recording.sender import Sender, a_consent, json_of
from tests.vectors.recording.world import COMMISSION, NGO, approver, envelope_key

Core = dict[str, Any]
FIRST, NEXT = EnvelopeId(an_id("deposited before")), EnvelopeId(an_id("deposited now"))
DAY = timedelta(days=1)
PAST = {"iat": format_time(NOW - DAY), "exp": format_time(NOW)}
AHEAD = NOW + timedelta(seconds=121)
STRANGE = {"sha256": digest(b"x"), "ct": b64u(b"x")}
UNREADABLE = {"sha256": "AA==", "ct": b64u(b"x")}
INLINE_BYTES = 64 * 1024


def _other(label: str) -> Consent:
    return a_consent(cid=ConsentId(an_id(label)), family=FamilyId(an_id(label)))


CONSENT, WITHDRAWN, UNKNOWN = a_consent(), _other("withdrawn"), _other("never registered")


@dataclass
class Deposit:
    """A request in the making: honest until somebody spoils it. The manifest signs what then stands there."""

    cores: list[Core]
    sealed: list[bytes]
    parts: list[dict[str, str]]
    whole: dict[str, bytes]
    caller: str = NGO
    says: dict[str, Any] = field(default_factory=dict)
    signer: SigningKey = field(default_factory=lambda: envelope_key(NGO))
    broken: bool = False
    changes: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, sealed: SealedEnvelope) -> Deposit:
        cores = [json_of(one.core) for one in sealed.grants]
        return cls(
            cores=cores,
            sealed=[one.sealed for one in sealed.grants],
            parts=[{"sha256": name, "ct": b64u(data)} for name, data in sealed.parts.items()],
            whole={json.dumps(core): one.core for core, one in zip(cores, sealed.grants, strict=True)},
        )

    def request(self) -> dict[str, Any]:
        """The body; a core that nobody has touched keeps its bytes, so that its sealed keys fit."""
        grants = [
            (self.whole.get(json.dumps(core)) or _bytes(core), keys)
            for core, keys in zip(self.cores, self.sealed, strict=True)
        ]
        said = {
            "origin": ORIGIN,
            "eid": self.cores[-1]["eid"],
            "sender": NGO,
            "issued_at": NOW,
            "grants": [grant_digest(*pair) for pair in grants],
        }
        jws = json.loads(json.dumps(sign_manifest(self.signer, **(said | self.says)).to_json()))
        for one in jws["signatures"] if self.broken else ():
            one["signature"] = _flipped(one["signature"])
        shown = [{"core": b64u(core), "sealed": b64u(keys)} for core, keys in grants]
        return {"manifest": jws, "grants": shown, "parts": self.parts}


Fault = tuple[str, str, Callable[[Deposit], object]]


def _bytes(core: Core) -> bytes:
    return json.dumps(core, separators=(",", ":")).encode()


def _flipped(text: str) -> str:
    return b64u(flipped(unb64u(text, field="vector"), 0))


def _core(at: int, **members: Any) -> Callable[[Deposit], object]:
    return lambda made: made.cores[at].update(members)


def _set(**members: Any) -> Callable[[Deposit], object]:
    return lambda made: [setattr(made, name, value) for name, value in members.items()]


def _ref(core: Core, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(ref for ref in core["parts"] if ref["f"] == name)
    return found


# -- one fault each ------------------------------------------------------------------------------------


def _long_part(made: Deposit) -> None:
    times = 2 * INLINE_BYTES // len(made.parts[0]["ct"])
    made.changes.append({"at": ["parts", 0, "ct"], "repeat": times})


def _opened_already(made: Deposit) -> None:
    for core in made.cores:
        core["eid"] = FIRST


def _other_directory(made: Deposit) -> None:
    for core in made.cores:
        core["dir"] = {**core["dir"], "root": digest(b"x")}


def _second_recipient(made: Deposit) -> None:
    own = {"gid": an_id("second"), "rcp": COMMISSION, "rcp_kid": enc("commission enc").public.kid}
    made.cores.insert(1, {**copy.deepcopy(made.cores[0]), **own, "thread": an_id("second")})
    made.sealed.insert(1, made.sealed[0])


def _longer_keys(made: Deposit) -> None:
    made.sealed[-1] += b"\0"


def _other_bytes(made: Deposit) -> None:
    made.parts[0] = {**made.parts[0], "ct": _flipped(made.parts[0]["ct"])}


def _no_own_grant(made: Deposit) -> None:
    made.cores.pop()
    made.sealed.pop()
    named = {ref["sha256"] for core in made.cores for ref in core["parts"]}
    made.parts = [part for part in made.parts if part["sha256"] in named]


SIGNATURE: Fault = ("SIG_INVALID", "a spoilt signature", _set(broken=True))
CHAIN: Fault = ("SEQ_CONFLICT", "another place in the chain", _core(0, seq=9))
NO_KEY: Fault = ("KID_UNKNOWN", "an enc key that nobody has", _core(0, rcp_kid=enc("lost").public.kid))
OTHER_BYTES: Fault = ("PART_DIGEST", "other bytes than those of the digest", _other_bytes)
ORDER: Sequence[Fault] = (
    ("SENDER_MISMATCH", "another caller", _set(caller=COMMISSION)),
    ("TOO_LARGE", "a part over 64 KiB", _long_part),
    ("MALFORMED", "a digest that cannot be read", lambda made: made.parts.append(UNREADABLE)),
    ("REPLAY", "an envelope that is open already", _opened_already),
    ("GRANT_EXPIRED", "a grant past its time", _core(0, **PAST)),
    NO_KEY,
    ("CONSENT_UNKNOWN", "an unregistered consent", _core(0, cns=digest(UNKNOWN.to_bytes()))),
    SIGNATURE,
    CHAIN,
)
# What is wrong with cores is wrong with the embassy's first, then with the sender's own, which stands last.
EQUALITY: Sequence[Fault] = (
    ("ORIGIN", "a manifest of another deployment", lambda made: made.says.update(origin="x.example")),
    ("MALFORMED", "a manifest from the future", lambda made: made.says.update(issued_at=AHEAD)),
    ("MANIFEST_MISMATCH", "other grants", lambda made: made.says.update(grants=[digest(b"x")])),
    ("ORIGIN", "a grant of another deployment", _core(0, origin="x.example")),
    ("SENDER_MISMATCH", "a grant of another sender", _core(0, snd=COMMISSION)),
    ("MANIFEST_MISMATCH", "a grant of another envelope", _core(0, eid=an_id("another envelope"))),
    ("MALFORMED", "a grant from the future", _core(0, iat=format_time(AHEAD))),
    ("GRANT_EXPIRED", "the sender's own grant past its time", _core(-1, **PAST)),
    ("MALFORMED", "more sealed keys than parts", _longer_keys),
    ("MANIFEST_MISMATCH", "a part of two ids", lambda made: _ref(made.cores[0], "sex").update(p=an_id("x"))),
    ("FIELD_DENIED", "one child_ref for two recipients", _second_recipient),
    ("MANIFEST_MISMATCH", "a part that no grant names", lambda made: made.parts.insert(0, STRANGE)),
    OTHER_BYTES,
)
OWN: Sequence[Fault] = (
    OTHER_BYTES,
    ("MANIFEST_MISMATCH", "no grant for the sender", _no_own_grant),
    NO_KEY,
)
KEYS: Sequence[Fault] = (
    ("RECIPIENT_DENIED", "a recipient that takes no part", _core(0, rcp="nobody")),
    NO_KEY,
    ("KEY_WRONG_USE", "a manifest by an approver", _set(signer=approver(NGO, "amal"))),
    ("LOG_FORK", "another directory", _other_directory),
    ("CONSENT_WITHDRAWN", "a withdrawn consent", _core(0, cns=digest(WITHDRAWN.to_bytes()))),
    SIGNATURE,
)


def _transaction(first: Deposit) -> Sequence[Fault]:
    return (
        CHAIN,
        ("PART_MISSING", "a part that is nowhere", lambda made: made.parts.pop()),
        ("REPLAY", "a grant's id that is taken", _core(0, gid=first.cores[0]["gid"])),
    )


def _supplement(first: Deposit) -> Sequence[Fault]:
    def same_ref(made: Deposit) -> None:
        _ref(made.cores[0], "child_ref").update(_ref(first.cores[0], "child_ref"))
        made.parts.clear()

    return (("FIELD_DENIED", "the child_ref of the first grant", same_ref), SIGNATURE, CHAIN)


def _repeated(first: Deposit) -> list[Case]:
    """The same manifest again: its first answer, whatever else is wrong, but to its sender alone."""
    request, known = first.request(), {first.cores[0]["gid"]}
    broken = copy.deepcopy(request["manifest"])
    broken["signatures"][0]["signature"] = _flipped(broken["signatures"][0]["signature"])
    unread = {**request["manifest"], "payload": b64u(b"{}")}
    return [
        _case("again: the same", first, None, known),
        {
            **_case("again: no grants, no parts", first, None, known),
            "body": {**request, "grants": [], "parts": []},
        },
        {**_case("again: a spoilt signature", first, None, known), "body": {**request, "manifest": broken}},
        {**_case("again: another caller", first, "SENDER_MISMATCH"), "caller": COMMISSION},
        {
            **_case("again: another caller, a manifest that cannot be read", first, "MALFORMED"),
            "caller": COMMISSION,
            "body": {**request, "manifest": unread},
        },
    ]


# -- the file ------------------------------------------------------------------------------------------


def _ladder(
    name: str, faults: Sequence[Fault], honest: Callable[[], Deposit], *, taken: bool = False
) -> list[Case]:
    """Of several ladders to the same honest deposit one shows that it is taken."""
    cases = []
    for rung in range(len(faults) + taken):
        made = honest()
        for _, _, spoil in reversed(faults[rung:]):
            spoil(made)
        error, wrong = faults[rung][:2] if rung < len(faults) else (None, "nothing")
        cases.append(_case(f"{name} {rung + 1}: {wrong}", made, error))
    return cases


def _case(name: str, made: Deposit, error: str | None, known: Collection[str] = ()) -> Case:
    """`taken`: whether a deposit that is not refused is new; `known` has the grants of one that is not."""
    return {
        "name": name,
        "caller": made.caller,
        "changes": made.changes,
        "error": error,
        "taken": None if error is not None else made.cores[0]["gid"] not in known,
        "body": made.request(),
    }


def _registered() -> Case:
    """The consents that the hub has, and the withdrawal of one of them."""
    by = [approver(NGO, "amal")]
    withdrawal = Withdrawal(
        origin=ORIGIN, iss=NGO, family=WITHDRAWN.family, reason="consent_withdrawn", iat=NOW - DAY
    )
    return {
        "consents": [dict(sign(one.to_bytes(), one.typ, by).to_json()) for one in (CONSENT, WITHDRAWN)],
        "withdrawals": [
            {"cid": WITHDRAWN.cid, "jws": dict(sign(withdrawal.to_bytes(), withdrawal.typ, by).to_json())}
        ],
    }


def deposit_file(roots: list[str]) -> Case:
    """`now`; what the hub has `before` each case; cases with the caller and the request's body."""
    sender = Sender(roots)
    own = {"values": {"child_ref": record.encode_field("child_ref", an_id("own child"))}}
    opened = sender.send(draft={"eid": FIRST}, mine=own).envelope
    first = Deposit.of(opened)
    to, mine = ({"seq": 2, "prev": one.digest} for one in opened.grants)

    def honest() -> Deposit:
        return Deposit.of(sender.send(draft={"eid": NEXT}, to=to, mine={**own, **mine}).envelope)

    def later() -> Deposit:
        made = Deposit.of(sender.later(opened, **to).envelope)
        made.parts = [part for part in made.parts if part["sha256"] not in opened.parts]
        return made

    cases = _ladder("order", ORDER, honest, taken=True)
    cases += _ladder("equality", EQUALITY, honest)
    cases += _ladder("own grant", OWN, honest)
    cases += _ladder("keys", KEYS, honest)
    cases += _ladder("transaction", _transaction(first), honest)
    cases += _ladder("supplement", _supplement(first), later, taken=True)
    cases += _repeated(first)
    return {
        "now": format_time(NOW),
        **_registered(),
        "before": [{"caller": NGO, "body": first.request()}],
        "cases": cases,
    }
