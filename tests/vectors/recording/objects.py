"""Signed objects against the directory: whose key it was, for which use, at what time; heads of chains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from exchange.agency.chains import verified_head
from exchange.agency.signatures import signers_of, signers_once
from exchange.directory.events import drain_event, revoke_event
from exchange.directory.state import DirectoryState
from exchange_keys.jws import Signed, sign
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, format_time
from exchange_schemas.consent import Withdrawal
from exchange_schemas.ids import AgencyId, FamilyId, GrantId
from exchange_schemas.payload import Payload
from exchange_schemas.receipt import RecipientReceipt
from tests.vectors.recording.directory import apply_all, event_of
from tests.vectors.recording.later import Draft, end, expel, suspend
from tests.vectors.recording.seeds import NOW, ORIGIN, Case, an_id, code_of, digest, root, signing
from tests.vectors.recording.sender import Sender
from tests.vectors.recording.world import (
    COMMISSION,
    EMBASSY,
    END,
    NGO,
    World,
    approver,
    envelope_key,
    event_json,
)

PAYLOADS: dict[str, type[Payload]] = {"hx-withdrawal": Withdrawal, "hx-receipt": RecipientReceipt}
USES = {"hx-withdrawal": "approver", "hx-receipt": "envelope"}


def a_withdrawal(at: datetime = NOW) -> Withdrawal:
    return Withdrawal(
        origin=ORIGIN, iss=NGO, family=FamilyId(an_id("family")), reason="consent_withdrawn", iat=at
    )


def a_receipt() -> RecipientReceipt:
    return RecipientReceipt(
        origin=ORIGIN,
        gid=GrantId(an_id("gid")),
        grant=digest(b"grant"),
        snd=NGO,
        rcp=EMBASSY,
        outcome="opened",
        iat=NOW,
    )


def check_object(state: DirectoryState, jws: Any, typ: str, now: datetime) -> None:
    """Read, and verify against the directory, as the payload says of itself. Raises: as its parts."""
    signed = Signed.from_json(jws, PAYLOADS[typ].LIMIT)
    payload: Any = PAYLOADS[typ].from_bytes(signed.payload)
    agency: AgencyId = payload.iss if typ == "hx-withdrawal" else payload.rcp
    if typ == Withdrawal.typ:
        signers_once(state, signed, typ, agency=agency, use=USES[typ], signed_at=min(payload.iat, now))
    else:
        signers_of(state, signed, typ, agency=agency, use=USES[typ], signed_at=payload.iat, now=now)


def _objects(world: World) -> dict[str, tuple[Payload, Sequence[SigningKey], datetime, Sequence[Draft]]]:
    amal, badr, mine = approver(NGO, "amal"), approver(NGO, "badr"), envelope_key(EMBASSY)
    withdrawal, receipt = a_withdrawal(), a_receipt()
    ngo_root = root("ngo root").signers
    year = timedelta(days=365)
    drained: Draft = (end(world, amal.public.kid, ngo_root, drain=True), ())
    revoked: Draft = (end(world, amal.public.kid, ngo_root), ())
    end_of_key = {"agency": EMBASSY, "kid": mine.public.kid, "signers": [approver(EMBASSY, "amal")]}
    revoked_key = revoke_event(origin=ORIGIN, iat=world.tick(), reason="lost", **end_of_key)  # type: ignore[arg-type]
    draining_key = drain_event(origin=ORIGIN, iat=world.tick(), until=END, **end_of_key)  # type: ignore[arg-type]
    return {
        "a withdrawal": (withdrawal, [amal], NOW, ()),
        "a withdrawal by two approvers": (withdrawal, [amal, badr], NOW, ()),
        "a withdrawal by an envelope key": (withdrawal, [envelope_key(NGO)], NOW, ()),
        "a withdrawal by another agency": (withdrawal, [approver(EMBASSY, "amal")], NOW, ()),
        "a withdrawal by a stranger": (withdrawal, [signing("stranger")], NOW, ()),
        "a withdrawal by an approver and a stranger": (withdrawal, [amal, signing("stranger")], NOW, ()),
        "a withdrawal before its key was valid": (a_withdrawal(NOW - year), [amal], NOW, ()),
        "a withdrawal that says it is from the future": (a_withdrawal(NOW + year), [amal], NOW, ()),
        "a withdrawal read after its key's end": (withdrawal, [amal], NOW + year, ()),
        "a withdrawal by a draining key": (withdrawal, [amal], NOW, [drained]),
        "a withdrawal by a key that has drained": (withdrawal, [amal], NOW + year, [drained]),
        "a withdrawal by a revoked key": (withdrawal, [amal], NOW, [revoked]),
        "a withdrawal by a suspended agency": (withdrawal, [amal], NOW, [(suspend(world), ())]),
        "a withdrawal by an expelled agency": (withdrawal, [amal], NOW, [(expel(world), ())]),
        "a receipt": (receipt, [mine], NOW, ()),
        "a receipt by a revoked key": (receipt, [mine], NOW, [(revoked_key, ())]),
        "a receipt by a draining key": (receipt, [mine], NOW, [(draining_key, ())]),
        "a receipt by a key that has drained": (receipt, [mine], NOW + year, [(draining_key, ())]),
        "a receipt read after its key's end": (receipt, [mine], NOW + year, ()),
        "a receipt by an approver": (receipt, [approver(EMBASSY, "amal")], NOW, ()),
        "a receipt by the sender": (receipt, [envelope_key(NGO)], NOW, ()),
    }


def object_file(world: World, roots: list[str]) -> Case:
    cases = []
    for name, (payload, keys, now, before) in _objects(world).items():
        log = [event_of(draft) for draft in before]
        state = apply_all(world.state, log)
        jws = sign(payload.to_bytes(), payload.typ, keys).to_json()
        cases.append(
            {
                "name": name,
                "typ": payload.typ,
                "jws": jws,
                "now": format_time(now),
                "before": [event_json(event) for event in log],
                "error": code_of(lambda a=state, b=jws, c=payload.typ, d=now: check_object(a, b, c, d)),
            }
        )
    return {"cases": cases, "agency": NGO, "now": format_time(NOW), "heads": _heads(world, Sender(roots))}


def _heads(world: World, sender: Sender) -> list[Case]:
    """Heads of the chain from the NGO to the embassy, as a hub shows them on SEQ_CONFLICT."""
    first = sender.send().envelope
    grant, own = first.grants
    good = {
        "seq": 1,
        "digest": grant.digest,
        "core": b64u(grant.core),
        "sealed": b64u(grant.sealed),
        "manifest": first.manifest.to_json(),
    }
    foreign = sign(first.manifest.payload, "hx-manifest", [envelope_key(COMMISSION)]).to_json()
    second = sender.send().envelope
    none = {"seq": 0, "digest": "A" * 43, "core": None, "sealed": None, "manifest": None}
    shown: dict[str, tuple[Any, str]] = {
        "a head": (good, EMBASSY),
        "no head yet": (none, EMBASSY),
        "another number": ({**good, "seq": 2}, EMBASSY),
        "another digest": ({**good, "digest": own.digest}, EMBASSY),
        "a grant for itself": (
            {**good, "digest": own.digest, "core": b64u(own.core), "sealed": b64u(own.sealed)},
            EMBASSY,
        ),
        "another recipient": (good, COMMISSION),
        "a manifest by another agency": ({**good, "manifest": foreign}, EMBASSY),
        "another manifest": ({**good, "manifest": second.manifest.to_json()}, EMBASSY),
        "a member missing": ({name: item for name, item in good.items() if name != "sealed"}, EMBASSY),
    }
    cases = []
    for name, (head, recipient) in shown.items():
        error = code_of(lambda head=head, of=recipient: check_head(world.state, head, of))
        cases.append({"name": name, "head": head, "recipient": recipient, "error": error})
    return cases


def check_head(state: DirectoryState, head: Any, recipient: str) -> None:
    """Whether the NGO may go on from a head. Raises: as `verified_head`."""
    verified_head(state, NGO, AgencyId(recipient), head, NOW)
