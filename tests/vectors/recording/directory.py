"""The key directory: the events of the story one by one, and after which of them which others are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from exchange.directory import events
from exchange.directory.replay import Replay, leaf_data
from exchange.directory.state import DirectoryState
from exchange.log.tree import Frontier, leaf_hash
from exchange_keys.jws import sign
from exchange_keys.public import PublicKey
from exchange_schemas.codec import b64u
from exchange_schemas.event import RevokeEvent
from tests.vectors.recording.later import NEW, Draft, after, end, resume, suspend
from tests.vectors.recording.seeds import ORIGIN, Case, code_of, enc, flipped, root, signing
from tests.vectors.recording.world import (
    COMMISSION,
    EMBASSY,
    END,
    NGO,
    START,
    Event,
    World,
    approver,
    envelope_key,
    event_json,
    listed,
    operator,
)


def _own(world: World) -> dict[str, Callable[[], Draft]]:
    """Lawful next events, by name."""
    ngo_root, amal = root("ngo root"), approver(NGO, "amal")
    other = root("ngo root 2")
    key, kid = signing("ngo envelope 2").public, envelope_key(NGO).public.kid
    at = {"origin": ORIGIN, "agency": NGO}
    return {
        "a governance of others": lambda: (world.governance(1, ("dan",), ("ann", "cem")), ()),
        "an admission": lambda: (world.admit(NEW), ()),
        "the first agreements": lambda: (world.agreements(1), ()),
        "a new root": lambda: (
            world.root_set(NGO, "ngo root 2", [*ngo_root.signers, *other.signers]),
            other.publics[1:],
        ),
        "a new root with both its keys": lambda: (
            world.root_set(NGO, "ngo root 2", [*other.signers, *ngo_root.signers]),
            other.publics,
        ),
        "a key by an approver": lambda: (world.key(NGO, "envelope", key, [amal]), [key]),
        "a key by two approvers": lambda: (
            world.key(NGO, "envelope", key, [amal, approver(NGO, "badr")]),
            [key],
        ),
        "a key by the root": lambda: (world.key(NGO, "envelope", key, ngo_root.signers), [key]),
        "a drain": lambda: (
            events.drain_event(**at, iat=world.tick(), kid=kid, until=END, signers=[amal]),  # type: ignore[arg-type]
            (),
        ),
        "a revocation": lambda: (
            events.revoke_event(**at, iat=world.tick(), kid=kid, reason="rotated", signers=[amal]),  # type: ignore[arg-type]
            (),
        ),
        "a revocation of an approver by the root": lambda: (
            events.revoke_event(
                **at,
                iat=world.tick(),
                kid=amal.public.kid,
                reason="lost",
                signers=ngo_root.signers,  # type: ignore[arg-type]
            ),
            (),
        ),
        "a suspension": lambda: (suspend(world), ()),
        "an expulsion": lambda: (
            events.expel_event(
                **at,
                iat=world.tick(),
                reason="own_request",
                signers=world.operators("bob", "cem"),  # type: ignore[arg-type]
            ),
            (),
        ),
    }


def _refused(world: World) -> dict[str, Callable[[], Draft]]:
    """Events that may not follow the story."""
    ngo_root, amal, other = root("ngo root"), approver(NGO, "amal"), root("ngo root 2")
    envelope, fresh = envelope_key(NGO).public, signing("fresh").public
    enc_key = enc("fresh enc").public
    low_order = PublicKey("X-Wing", enc_key.raw[:1184] + bytes(32))
    unreduced = PublicKey("X-Wing", enc_key.raw[:1184] + b"\xff" * 31 + b"\x7f")
    modulus = PublicKey("X-Wing", b"\xff" * 1184 + enc_key.raw[1184:])
    identity = PublicKey("Ed25519", b"\x01" + bytes(31))
    weak = PublicKey("ES256", b"\x04" + bytes(64))
    late = {"nbf": START - timedelta(days=9), "exp": START - timedelta(days=1)}
    ngo_keys = [key.public for key in world.state.agencies[NGO].keys.values()]
    revoke = end(world, envelope.kid, [amal])
    spoiled = replace(
        revoke,
        signatures=(replace(revoke.signatures[0], signature=flipped(revoke.signatures[0].signature, 40)),),
    )
    elsewhere = RevokeEvent(
        origin="other.example", iat=world.tick(), agency=NGO, kid=envelope.kid, reason="other"
    )
    return {
        "D01 a first governance": lambda: (world.governance(1, ("eve",), ("eve",)), ()),
        "D02 admitted before": lambda: (world.admit(NGO), ()),
        "D02 never admitted": lambda: (world.root_set(NEW, "x", root("x").signers), root("x").publics[1:]),
        "D03 not suspended": lambda: (resume(world), ()),
        "D04 an old suspension": lambda: (suspend(world, iat=START), ()),
        "D04 an old governance": lambda: (
            events.governance_event(
                origin=ORIGIN, iat=START, k=1, operators=listed("dan"), signers=world.operators()
            ),
            (),
        ),
        "D05 no bytes": lambda: (world.key(NGO, "envelope", fresh, [amal]), ()),
        "D05 other bytes beside": lambda: (world.key(NGO, "envelope", fresh, [amal]), [fresh, envelope]),
        "D05 bytes without a key": lambda: (suspend(world), [fresh]),
        "D05 no bytes of a root": lambda: (
            world.root_set(NGO, "ngo root 2", [*ngo_root.signers, *other.signers]),
            other.publics[:1],
        ),
        "D06 a stranger for an operator": lambda: (
            suspend(world, signers=[*world.operators(), signing("stranger")]),
            (),
        ),
        "D06 the root of another agency": lambda: (
            world.key(NGO, "envelope", fresh, root("embassy root").signers),
            [fresh],
        ),
        "D06 an envelope key": lambda: (
            world.key(NGO, "envelope", fresh, [envelope_key(NGO)]),
            [fresh],
        ),
        "D06 an approver for an approver": lambda: (
            world.key(NGO, "approver", fresh, [amal], holder="dana"),
            [fresh],
        ),
        "D06 root and approver together": lambda: (
            world.key(NGO, "envelope", fresh, [*ngo_root.signers, amal]),
            [fresh],
        ),
        "D06 the key of another agency": lambda: (end(world, envelope_key(EMBASSY).public.kid, [amal]), ()),
        "D06 a root key": lambda: (end(world, ngo_root.publics[0].kid, ngo_root.signers), ()),
        "D06 an approver outside its time": lambda: (
            events.key_event(
                origin=ORIGIN,
                iat=END,
                agency=NGO,
                use="envelope",
                key=fresh,
                nbf=START,
                exp=END,
                signers=[amal],
            ),
            [fresh],
        ),
        "D06 a third root": lambda: (
            world.root_set(NGO, "ngo root 2", [*ngo_root.signers, *other.signers, *root("x").signers]),
            other.publics[1:],
        ),
        "D07 a flipped signature": lambda: (spoiled, ()),
        "D07 another deployment": lambda: (sign(elsewhere.to_bytes(), "hx-event", [amal]), ()),
        "D08 one operator of two": lambda: (suspend(world, signers=world.operators("ann")), ()),
        "D08 half a root": lambda: (
            world.key(NGO, "envelope", fresh, ngo_root.signers[:1]),
            [fresh],
        ),
        "D08 a new root without the old": lambda: (
            world.root_set(NGO, "ngo root 2", other.signers),
            other.publics[1:],
        ),
        "D09 a key of the agency": lambda: (world.key(NGO, "envelope", envelope, [amal]), [envelope]),
        "D09 a key of another agency": lambda: (
            world.key(NGO, "envelope", envelope_key(COMMISSION).public, [amal]),
            [envelope_key(COMMISSION).public],
        ),
        "D09 an operator's key": lambda: (
            world.key(NGO, "envelope", operator("cem").public, [amal]),
            [operator("cem").public],
        ),
        "D09 an agency's key for an operator": lambda: (
            events.governance_event(
                origin=ORIGIN,
                iat=world.tick(),
                k=1,
                operators=[events.operator("eve", envelope)],
                signers=world.operators(),
            ),
            (),
        ),
        "D10 the identity point": lambda: (world.key(NGO, "envelope", identity, [amal]), [identity]),
        "D10 a low-order X25519 half": lambda: (world.key(NGO, "enc", low_order, [amal]), [low_order]),
        "D10 an X25519 half that is not reduced": lambda: (
            world.key(NGO, "enc", unreduced, [amal]),
            [unreduced],
        ),
        "D10 an ML-KEM half over its modulus": lambda: (world.key(NGO, "enc", modulus, [amal]), [modulus]),
        "D10 no point of P-256": lambda: (world.key(NGO, "auth", weak, [amal]), [weak]),
        "D11 an approver without a holder": lambda: (
            world.key(NGO, "approver", fresh, ngo_root.signers),
            [fresh],
        ),
        "D11 a holder with a space": lambda: (
            world.key(NGO, "approver", fresh, ngo_root.signers, holder="dana d"),
            [fresh],
        ),
        "D13 a drain beyond the end": lambda: (
            events.drain_event(
                origin=ORIGIN,
                iat=world.tick(),
                agency=NGO,
                kid=envelope.kid,
                until=END + timedelta(seconds=1),
                signers=[amal],
            ),
            (),
        ),
        "D16 agreements that begin with 2": lambda: (world.agreements(2), ()),
        "D05 agreements with a key": lambda: (world.agreements(1), [fresh]),
        "D06 agreements that an agency signed": lambda: (
            events.agreements_event(
                origin=ORIGIN, iat=world.tick(), version=1, agreements=[], signers=[amal]
            ),
            (),
        ),
        "D08 agreements by one operator of two": lambda: (world.agreements(1, "ann"), ()),
        "another key for its use and time": lambda: (
            world.key(NGO, "enc", enc_key, [amal], **late),  # type: ignore[arg-type]
            [enc_key, ngo_keys[0]],
        ),
    }


def event_of(draft: Draft) -> Event:
    signed, keys = draft
    return signed, events.key_bytes_of(*keys)


def apply_all(state: DirectoryState, log: Sequence[Event]) -> DirectoryState:
    replay = Replay(state)
    for signed, keys in log:
        replay.apply(signed, keys)
    return replay.state()


def directory_file(world: World, pin: str) -> Case:
    """`story`, with the root after each event; `cases` on top of all of it; `starts` on top of nothing."""
    frontier, roots = Frontier.empty(), []
    for signed, _ in world.log:
        frontier = frontier.append(leaf_hash(leaf_data(signed)))
        roots.append(b64u(frontier.root()))
    drafts = {
        **{name: ((), make()) for name, make in _own(world).items()},
        **{name: ((), make()) for name, make in _refused(world).items()},
        **after(world),
    }
    cases = []
    for name, (before, last) in drafts.items():
        log = [event_of(draft) for draft in before]
        state = apply_all(world.state, log)
        error = code_of(lambda state=state, last=last: apply_all(state, [event_of(last)]))
        cases.append(
            {
                "name": name,
                "before": [event_json(event) for event in log],
                "next": event_json(event_of(last)),
                "error": error,
            }
        )
    return {
        "origin": ORIGIN,
        "pin": pin,
        "story": [event_json(event) for event in world.log],
        "roots": roots,
        "state": state_json(world.state),
        "cases": cases,
        "starts": _starts(pin),
    }


def _starts(pin: str) -> list[Case]:
    other = World()
    unpinned = other.governance(1, ("eve",), ("eve",))
    drafts = {
        "D01 another genesis": unpinned,
        "D01 an admission first": other.admit(NEW),
    }
    cases = []
    for name, signed in drafts.items():
        empty = DirectoryState.empty(ORIGIN, pin=pin)  # type: ignore[arg-type]
        error = code_of(lambda empty=empty, signed=signed: apply_all(empty, [(signed, {})]))
        cases.append({"name": name, "next": event_json((signed, {})), "error": error})
    return cases


def state_json(state: DirectoryState) -> Case:
    """Agencies and keys as they stand: what a second implementation must come to."""
    return {
        name: {
            "status": str(agency.status),
            "root": agency.root,
            "keys": {kid: [key.use, str(key.status)] for kid, key in agency.keys.items()},
        }
        for name, agency in state.agencies.items()
    }
