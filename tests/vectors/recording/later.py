"""Events that meet a directory which has gone on after the story: what they are refused for, or not."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.directory import events
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import Signer
from exchange_schemas.ids import AgencyId, Kid
from tests.vectors.recording.seeds import ORIGIN, root, signing
from tests.vectors.recording.world import END, NGO, World, approver, envelope_key

NEW = AgencyId("newcomer")
Draft = tuple[Signed, Sequence[PublicKey]]


def suspend(world: World, **changes: object) -> Signed:
    values = {"origin": ORIGIN, "iat": world.tick(), "agency": NGO, "reason": "security", **changes}
    return events.suspend_event(**{"signers": world.operators(), **values})  # type: ignore[arg-type]


def resume(world: World, signers: Sequence[Signer] | None = None) -> Signed:
    who = world.operators() if signers is None else signers
    return events.resume_event(origin=ORIGIN, iat=world.tick(), agency=NGO, signers=who)


def expel(world: World) -> Signed:
    return events.expel_event(
        origin=ORIGIN, iat=world.tick(), agency=NGO, reason="security", signers=world.operators()
    )


def end(world: World, kid: Kid, signers: Sequence[Signer], *, drain: bool = False) -> Signed:
    if drain:
        return events.drain_event(
            origin=ORIGIN, iat=world.tick(), agency=NGO, kid=kid, until=END, signers=signers
        )
    return events.revoke_event(
        origin=ORIGIN, iat=world.tick(), agency=NGO, kid=kid, reason="other", signers=signers
    )


def after(world: World) -> dict[str, tuple[tuple[Draft, ...], Draft]]:
    """What is refused, or taken, after one more event: name -> (events before, the event)."""
    ngo_root, amal, badr = root("ngo root"), approver(NGO, "amal"), approver(NGO, "badr")
    other, envelope = root("ngo root 2"), envelope_key(NGO).public
    fresh = signing("fresh").public
    suspended: Draft = (suspend(world), ())
    old_suspension: Draft = (suspend(world), ())
    expelled: Draft = (expel(world), ())
    new_root: Draft = (
        world.root_set(NGO, "ngo root 2", [*ngo_root.signers, *other.signers]),
        other.publics[1:],
    )
    drained: Draft = (end(world, envelope.kid, [amal], drain=True), ())
    revoked: Draft = (end(world, envelope.kid, [amal]), ())
    no_amal: Draft = (end(world, amal.public.kid, ngo_root.signers), ())
    drained_amal: Draft = (end(world, amal.public.kid, ngo_root.signers, drain=True), ())
    admitted: Draft = (world.admit(NEW, root_of="newcomer root"), ())
    return {
        "D03 suspended, a key": (
            (suspended,),
            (world.key(NGO, "envelope", fresh, ngo_root.signers), [fresh]),
        ),
        "D03 suspended, a revocation by the root": (
            (suspended,),
            (end(world, envelope.kid, ngo_root.signers), ()),
        ),
        "D06 suspended, a revocation by an approver": ((suspended,), (end(world, envelope.kid, [amal]), ())),
        "D03 suspended, resumed": ((suspended,), (resume(world), ())),
        "D03 suspended twice": ((suspended,), (suspend(world), ())),
        "D04 an old suspension after a resumption": (
            (old_suspension, (resume(world), ())),
            old_suspension,
        ),
        "D03 expelled, a revocation": ((expelled,), (end(world, envelope.kid, ngo_root.signers), ())),
        "D03 expelled, admitted again": ((expelled,), (world.admit(NGO), ())),
        "D06 the old root": ((new_root,), (world.key(NGO, "envelope", fresh, ngo_root.signers), [fresh])),
        "the new root": ((new_root,), (world.key(NGO, "envelope", fresh, other.signers), [fresh])),
        "D09 the old root again": (
            (new_root,),
            (
                world.root_set(NGO, "ngo root", [*ngo_root.signers, *other.signers]),
                ngo_root.publics[1:],
            ),
        ),
        "D13 drained twice": ((drained,), (end(world, envelope.kid, [amal], drain=True), ())),
        "drained, then revoked": ((drained,), (end(world, envelope.kid, [amal]), ())),
        "D14 revoked twice": ((revoked,), (end(world, envelope.kid, [amal]), ())),
        "D13 revoked, then drained": ((revoked,), (end(world, envelope.kid, [amal], drain=True), ())),
        "D06 a revoked approver": ((no_amal,), (end(world, envelope.kid, [amal]), ())),
        "another approver": ((no_amal,), (end(world, envelope.kid, [badr]), ())),
        "D06 a draining approver": ((drained_amal,), (end(world, envelope.kid, [amal]), ())),
        "D09 a revoked key again": ((revoked,), (world.key(NGO, "envelope", envelope, [badr]), [envelope])),
        "D12 another root than the admitted": (
            (admitted,),
            (world.root_set(NEW, "x", root("x").signers), root("x").publics[1:]),
        ),
        "the admitted root": (
            (admitted,),
            (
                world.root_set(NEW, "newcomer root", root("newcomer root").signers),
                root("newcomer root").publics[1:],
            ),
        ),
        "the second agreements": (((world.agreements(1), ()),), (world.agreements(2), ())),
        "D16 the first agreements again": (((world.agreements(1), ()),), (world.agreements(1), ())),
        "D16 agreements that leave out a version": (((world.agreements(1), ()),), (world.agreements(3), ())),
        "D06 no root yet": ((admitted,), (_newcomer_key(world), [fresh])),
    }


def _newcomer_key(world: World) -> Signed:
    return world.key(NEW, "envelope", signing("fresh").public, root("newcomer root").signers)
