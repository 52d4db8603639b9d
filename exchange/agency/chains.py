"""The chains of grants: every grant names the one before it between the same two agencies, in each direction.

Outgoing heads make the next `seq` and `prev`; incoming digests show a grant that was left out or replaced.
A head that the hub shows counts only when this agency's own signature on it verifies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange.agency.signatures import sole_signer_once
from exchange.directory.state import ENVELOPE, DirectoryState
from exchange.member.store import Store
from exchange_keys.grants import grant_digest
from exchange_keys.jws import Signed
from exchange_keys.manifest import check_grant
from exchange_schemas.codec import JsonValue, unb64u
from exchange_schemas.envelope import NO_PREVIOUS, GrantCore, Manifest
from exchange_schemas.errors import LogIncomplete, Malformed, ManifestMismatch, Replay, SeqConflict
from exchange_schemas.ids import AgencyId, Digest
from exchange_schemas.limits import LIMITS

_HEADS = "head_out"
_SEEN = "seen_in"


@dataclass(frozen=True, slots=True)
class Head:
    """The last grant of a chain; `seq` 0 and 32 zero bytes before the first."""

    seq: int = 0
    digest: Digest = NO_PREVIOUS


def head_out(store: Store, recipient: AgencyId) -> Head:
    """The last grant that this agency is known to have sent to `recipient`."""
    found = store.get(_HEADS, recipient)
    if found is None or not isinstance(found["seq"], int):
        return Head()
    return Head(found["seq"], Digest(str(found["digest"])))


NO_HEADS: Mapping[AgencyId, Head] = {}


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads to seal behind: those that the hub took, or later ones that wait in the spool (`ahead`)."""

    store: Store
    ahead: Mapping[AgencyId, Head]

    def of(self, recipient: AgencyId) -> Head:
        """The head of the chain to this recipient."""
        taken, waiting = head_out(self.store, recipient), self.ahead.get(recipient, Head())
        return waiting if waiting.seq > taken.seq else taken


def move_head(store: Store, recipient: AgencyId, head: Head) -> None:
    """Remember a later head; an earlier one changes nothing."""
    with store.writing():
        if head.seq > head_out(store, recipient).seq:
            store.put(_HEADS, recipient, {"seq": head.seq, "digest": head.digest})


def verified_head(
    state: DirectoryState, me: AgencyId, recipient: AgencyId, shown: JsonValue, now: datetime
) -> Head:
    """The head that the hub shows after a conflict, once it is proved to be this agency's own grant.

    (1) The manifest is signed by an envelope key of ours that was valid then. One that was revoked since
    counts here: the hub has that grant in the chain, and without it a backup of an agency whose key was
    stolen could never send again; all that it decides is behind what the next grant stands. (2) The grant
    stands in it. (3) It is ours, to this recipient, with this number and digest. A hub that knows no grant
    shows number 0.
    Raises: Malformed, SigInvalid, KeyWrongUse, KidUnknown, KeyNotActive, ManifestMismatch.
    """
    if not isinstance(shown, dict) or set(shown) != {"seq", "digest", "core", "sealed", "manifest"}:
        raise Malformed("head: seq, digest, core, sealed and manifest are needed", field="head")
    if shown["seq"] == 0 and shown["core"] is None:
        return Head()
    signed = Signed.from_json(shown["manifest"], LIMITS.manifest_bytes)
    manifest = Manifest.from_bytes(signed.payload)
    sole_signer_once(state, signed, Manifest.typ, agency=me, use=ENVELOPE, signed_at=min(manifest.iat, now))
    core = unb64u(shown["core"], field="head.core", limit=LIMITS.grant_core_bytes)
    sealed = unb64u(shown["sealed"], field="head.sealed", limit=LIMITS.sealed_keys_bytes)
    grant = check_grant(manifest, core, sealed)
    digest = grant_digest(core, sealed)
    if (grant.snd, grant.rcp, grant.seq, digest) != (me, recipient, shown["seq"], shown["digest"]):
        raise ManifestMismatch("head: the hub shows a grant of another chain", field="head")
    return Head(grant.seq, digest)


def adopt_head(store: Store, recipient: AgencyId, head: Head) -> None:
    """Go on from a verified head that another host of this agency made.

    Raises: LogIncomplete when it lies before our own: the hub has forgotten what it took.
    """
    ours = head_out(store, recipient)
    if head.seq < ours.seq or (head.seq == ours.seq and head.digest != ours.digest):
        raise LogIncomplete(
            "the hub has forgotten envelopes of this agency that it had taken",
            rule="chain-rollback",
            hint="tell the operator: the hub was rolled back; keep your receipts",
        )
    move_head(store, recipient, head)


def note_listed(store: Store, sender: AgencyId, seq: int, digest: Digest) -> bool:
    """Remember the digest that the hub lists for a sender's grant number `seq`: its word, and no proof.

    Gives False when it listed another one before, or another was opened. What it lists now takes the place
    of what it listed, never of what was opened: whoever asks hears of it once, and is not shut out for good.
    """
    with store.writing():
        known = _seen(store, sender, seq)
        if known is None or (known.digest != digest and not known.proved):
            _put_seen(store, sender, seq, _Seen(digest, proved=False))
        return known is None or known.digest == digest


def note_proved(store: Store, sender: AgencyId, seq: int, digest: Digest) -> bool:
    """Remember the digest of a grant whose signature verified; whether the hub had listed another one.

    What the hub listed never stands against what the sender signed: else one false listing would have this
    agency refuse an honest sender for good. Raises: Replay when another signed grant bears that number.
    """
    with store.writing():
        known = _seen(store, sender, seq)
        other = known is not None and known.digest != digest
        if known is not None and other and known.proved:
            raise Replay("seq: two different grants bear the same number", field="seq", rule="chain-replay")
        if known is None or not known.proved:
            _put_seen(store, sender, seq, _Seen(digest, proved=True))
        return other


@dataclass(frozen=True, slots=True)
class _Seen:
    """A digest under a number; `proved`: of a grant that its sender's signature vouches for."""

    digest: Digest
    proved: bool


def _seen(store: Store, sender: AgencyId, seq: int) -> _Seen | None:
    found = store.get(_SEEN, f"{sender}/{seq}")
    # Before there was a difference every one counted.
    return None if found is None else _Seen(Digest(str(found["digest"])), found.get("proved") is not False)


def _put_seen(store: Store, sender: AgencyId, seq: int, seen: _Seen) -> None:
    store.put(_SEEN, f"{sender}/{seq}", {"digest": seen.digest, "proved": seen.proved})


def gap_before(store: Store, core: GrantCore) -> bool:
    """Whether the grant before this one was never seen, or only another one was listed in its place.

    Raises: SeqConflict when `prev` is not the digest of the grant that was proved to come before.
    """
    if core.seq == 1:
        return False
    before = _seen(store, core.snd, core.seq - 1)
    if before is None or before.digest == core.prev:
        return before is None
    if before.proved:
        raise SeqConflict("prev: not the grant that came before", field="prev", rule="chain-prev")
    return True
