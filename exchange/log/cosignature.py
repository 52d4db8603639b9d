"""Cosignatures: a witness says that it saw a checkpoint, and when, and that the log had only grown since.

Of type 0x04 only: Ed25519 with a time (C2SP tlog-cosignature, "cosignature/v1"). A checkpoint has no time of
its own, so these are the only proof that a log is not an old one shown again. One witness proves little: a
quorum of named ones must agree, and nothing here may count one that is not named.

Every `CheckpointInvalid` carries the rule that failed: N1 of `exchange.log.note`, and
  W1-length     a named witness's line has another length than a time and a signature
  W2-signature  a named witness's cosignature does not verify
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from exchange.log.note import VerifierKey, key_id, parse_typed_vkey, signature_line, split_note, typed_vkey
from exchange_keys.signing import SIGNATURE_BYTES, SigningKey, verify_ed25519
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid, Malformed, SigInvalid
from exchange_schemas.limits import LIMITS

__all__ = [
    "COSIGNATURES_MOST",
    "TYPE_COSIGNATURE",
    "Cosignature",
    "Quorum",
    "cosign",
    "cosigner_vkey",
    "newest_cosignatures",
    "parse_cosigner",
]

TYPE_COSIGNATURE: Final = 0x04
COSIGNATURES_MOST: Final = 64
_TIME_BYTES: Final = 8
_TIME_MOST: Final = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


def cosigner_vkey(name: str, public_raw: bytes) -> str:
    """The verifier key string of a witness's raw Ed25519 key. Raises: ConfigInvalid."""
    return typed_vkey(name, public_raw, TYPE_COSIGNATURE)


def parse_cosigner(text: str) -> VerifierKey:
    """Read a witness's verifier key string, of type 0x04 only. Raises: ConfigInvalid."""
    return parse_typed_vkey(text, TYPE_COSIGNATURE)


def cosign(note: str, key: SigningKey, name: str, when: datetime) -> str:
    """The signature line of a witness under `note`; what it checked before is the witness's own matter.

    Raises: CheckpointInvalid (N1-form).
    """
    text, _ = split_note(note)
    stamp = int(when.timestamp())
    signature = stamp.to_bytes(_TIME_BYTES, "big") + key.sign(_message(text, stamp))
    return signature_line(name, key_id(name, TYPE_COSIGNATURE, key.public.raw), signature)


@dataclass(frozen=True, slots=True)
class Quorum:
    """The witnesses of a log by name and key, and how many of them must have cosigned."""

    needed: int
    witnesses: tuple[VerifierKey, ...]

    @classmethod
    def of(cls, needed: int, vkeys: Sequence[str]) -> "Quorum":
        """Read the keys. Raises: ConfigInvalid (none, too many, one twice, a quorum that cannot be)."""
        witnesses = tuple(parse_cosigner(text) for text in vkeys)
        if not 1 <= needed <= len(witnesses) <= COSIGNATURES_MOST:
            raise ConfigInvalid("witnesses: the quorum lies between 1 and their number", field="witnesses")
        # One party under two names must not count twice.
        if any(
            len(set(what)) != len(witnesses)
            for what in zip(*((w.name, w.public) for w in witnesses), strict=True)
        ):
            raise ConfigInvalid("witnesses: a name or a key stands there twice", field="witnesses")
        return cls(needed, witnesses)

    def cosigned_at(self, note: str, now: datetime) -> datetime | None:
        """When the newest quorum had cosigned this note; None while too few have.

        (1) The note is well formed. (2) Every line of a named witness verifies. (3) Times more than 120 s
        ahead of `now` count for nothing. (4) Of each witness the newest counts; the quorum's time is that of
        the last one it needs. Whose checkpoint the note holds is for `open_checkpoint`.
        Raises: CheckpointInvalid.
        """
        newest = newest_cosignatures(note, self.witnesses, now)
        if len(newest) < self.needed:
            return None
        return heapq.nlargest(self.needed, (item.when for item in newest))[-1]


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: whose, and from when."""

    witness: VerifierKey
    when: datetime


def newest_cosignatures(
    note: str, witnesses: Sequence[VerifierKey], now: datetime
) -> tuple[Cosignature, ...]:
    """Of each named witness the newest cosignature under this note, in the witnesses' order.

    Every line of a named witness must verify; times more than 120 s ahead of `now` count for nothing.
    Raises: CheckpointInvalid (N1, W1, W2).
    """
    text, lines = split_note(note)
    named = {(key.name, key.key_id): key for key in witnesses}
    newest: dict[VerifierKey, int] = {}
    latest = int((now + LIMITS.clock_leeway).timestamp())
    for line in lines:
        key = named.get((line.name, line.key_id))
        if key is None:
            continue
        stamp = _verified_time(text, key, line.signature)
        if stamp <= latest:
            newest[key] = max(stamp, newest.get(key, 0))
    return tuple(
        Cosignature(key, datetime.fromtimestamp(newest[key], UTC)) for key in witnesses if key in newest
    )


def _verified_time(text: str, key: VerifierKey, data: bytes) -> int:
    if len(data) != _TIME_BYTES + SIGNATURE_BYTES:
        raise CheckpointInvalid("note: a cosignature has another length", rule="W1-length")
    stamp = int.from_bytes(data[:_TIME_BYTES], "big")
    if stamp > _TIME_MOST:
        raise CheckpointInvalid("note: a cosignature's time is no time", rule="W1-length")
    try:
        verify_ed25519(key.public, _message(text, stamp), data[_TIME_BYTES:])
    except (SigInvalid, Malformed):
        raise CheckpointInvalid("note: a witness's cosignature is bad", rule="W2-signature") from None
    return stamp


def _message(text: str, stamp: int) -> bytes:
    """What is signed: two lines, then the whole text of the note."""
    return f"cosignature/v1\ntime {stamp}\n{text}".encode()
