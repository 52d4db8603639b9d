"""A lawful key directory of many agencies, as a hub would serve it: made for the bench, page by page.

Each agency is admitted, sets its root, logs two approvers and its first keys under the root, and then
rotates its working keys under an approver: a new key, a drain, a revocation, over and over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exchange.directory import events
from exchange.directory.replay import leaf_data
from exchange.directory.rules import governance_pin
from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.tree import consistency_proof, leaf_hash, root_of
from exchange_keys.auth_key import AuthKey
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey, Signer
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.ids import AgencyId, Digest, Kid

ORIGIN = "bench.example"
START = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=730)
USES = ("envelope", "enc", "auth")
Logged = tuple[Signed, Mapping[Kid, bytes]]


@dataclass(frozen=True, slots=True)
class ServedLog:
    """The log as a hub holds it: events with their key bytes, leaf hashes, and its signing key."""

    events: list[Logged]
    leaves: list[bytes]
    key: SigningKey

    @property
    def vkey(self) -> str:
        """What a client pins."""
        return vkey(f"{ORIGIN}/directory", self.key.public.raw)

    @property
    def pin(self) -> Digest:
        """The digest of the first event."""
        return governance_pin(self.events[0][0])

    def page(self, after: int, most: int) -> dict[str, JsonValue]:
        """The hub's answer for the events after a size."""
        size = len(self.leaves)

        def read(level: int, index: int) -> bytes:
            return root_of(self.leaves[index << level : (index + 1) << level])

        note = sign_checkpoint(Checkpoint(f"{ORIGIN}/directory", size, root_of(self.leaves)), self.key)
        last = min(size, after + most)
        listed: list[JsonValue] = [
            {
                "index": at,
                "event": signed.to_json(),
                "keys": {str(kid): b64u(raw) for kid, raw in keys.items()},
            }
            for at, (signed, keys) in enumerate(self.events[after:last], after)
        ]
        proof = consistency_proof(after, size, read) if 0 < after < size else []
        return {
            "events": listed,
            "size": size,
            "checkpoint": note,
            "consistency": [b64u(item) for item in proof],
        }


def served_log(agencies: int, events_each: int) -> ServedLog:
    """A log of one governance event and `events_each` events of each of `agencies` agencies."""
    operator = SigningKey.generate()
    named = [events.operator("asha", operator.public)]
    first = events.governance_event(origin=ORIGIN, iat=START, k=1, operators=named, signers=[operator])
    logged: list[Logged] = [(first, {})]
    for number in range(agencies):
        history = _history(AgencyId(f"agency-{number}"), operator)
        logged += [next(history) for _ in range(events_each)]
    return ServedLog(logged, [leaf_hash(leaf_data(signed)) for signed, _ in logged], SigningKey.generate())


def _history(agency: AgencyId, operator: SigningKey) -> Iterator[Logged]:
    root = RootKey.generate()
    yield (
        events.admit_event(
            origin=ORIGIN,
            iat=START,
            agency=agency,
            name=f"Agency {agency}",
            kind="ngo",
            country="XK",
            public_authority=False,
            contact=f"desk@{agency}.example",
            root=root.public.digest,
            signers=[operator],
        ),
        {},
    )
    yield (
        events.root_set_event(
            origin=ORIGIN, iat=START, agency=agency, root=root.public, signers=root.signers
        ),
        events.key_bytes_of(root.public.mldsa65),
    )
    approver = SigningKey.generate()
    yield _key(agency, "approver", approver.public, root.signers, START)
    yield _key(agency, "approver", SigningKey.generate().public, root.signers, START)
    present = {use: _public(use) for use in USES}
    for use, public in present.items():
        yield _key(agency, use, public, root.signers, START)
    turn = 0
    while True:
        use, when = USES[turn % len(USES)], START + timedelta(days=turn + 1)
        fresh, old, turn = _public(use), present[use], turn + 1
        present[use] = fresh
        yield _key(agency, use, fresh, [approver], when)
        drain = events.drain_event(
            origin=ORIGIN,
            iat=when,
            agency=agency,
            kid=old.kid,
            until=when + timedelta(days=1),
            signers=[approver],
        )
        yield drain, {}
        revoke = events.revoke_event(
            origin=ORIGIN, iat=when, agency=agency, kid=old.kid, reason="rotated", signers=[approver]
        )
        yield revoke, {}


def _key(agency: AgencyId, use: str, public: PublicKey, signers: Sequence[Signer], when: datetime) -> Logged:
    signed = events.key_event(
        origin=ORIGIN,
        iat=when,
        agency=agency,
        use=use,
        key=public,
        nbf=when,
        exp=START + LIFE,
        signers=signers,
        holder=public.kid[:12].replace("-", "x") if use == "approver" else None,
    )
    return signed, events.key_bytes_of(public)


def _public(use: str) -> PublicKey:
    if use == "enc":
        return EncKey.generate().public
    if use == "auth":
        return AuthKey.generate("ES256").public
    return SigningKey.generate().public
