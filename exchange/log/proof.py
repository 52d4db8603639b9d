"""Proofs that travel alone: an entry's place in a signed tree, as text (C2SP tlog-proof).

A receipt of the hub is an entry and such a proof; it is verified with the pinned keys of the log and
nothing else. The extra line is carried and never trusted.

Every `ProofInvalid` carries the rule that failed: T1 to T5 of `exchange.log.tree`, and
  P1-form  the text is not a proof
A bad checkpoint inside is `CheckpointInvalid`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.encoding import base64_bytes, base64_text
from exchange.log.note import NOTE_CHARS, VerifierKey
from exchange.log.tree import HASH_BYTES, MAX_SIZE, leaf_hash, verify_inclusion
from exchange_schemas.errors import ProofInvalid

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_MAX_HASHES: Final = 63
"""A tree of 2^63 leaves has no longer path."""
_MAX_EXTRA_CHARS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed proof, nothing verified: a leaf's index, its path, the checkpoint note, opaque extra data."""

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes | None = None


def format_proof(index: int, proof: Sequence[bytes], note: str, *, extra: bytes | None = None) -> str:
    """The proof text; `parse_proof` gives the same values back."""
    head = [_HEADER]
    if extra is not None:
        head.append(f"extra {base64_text(extra)}")
    head.append(f"index {index}")
    head.extend(base64_text(item) for item in proof)
    return "\n".join(head) + "\n\n" + note


def parse_proof(text: str) -> TlogProof:
    """Read a proof text strictly; the note in it is kept as it stands.

    Raises: ProofInvalid (P1-form).
    """
    if len(text) > NOTE_CHARS + 2 * _MAX_EXTRA_CHARS:
        raise _form("too long")
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if blank == "" or lines[0] != _HEADER:
        raise _form("the first line or the empty line is missing")
    rest = lines[1:]
    extra = None
    if rest and rest[0].startswith("extra "):
        extra = _unbase64(rest.pop(0).removeprefix("extra "))
    match = _INDEX.fullmatch(rest[0]) if rest else None
    if match is None or int(match[1]) > MAX_SIZE:
        raise _form("the index line is missing or not a plain number")
    hashes = tuple(_unbase64(line) for line in rest[1:])
    if len(hashes) > _MAX_HASHES or any(len(item) != HASH_BYTES for item in hashes):
        raise _form("a hash that does not have 32 bytes, or too many hashes")
    return TlogProof(int(match[1]), hashes, note, extra)


def verify_entry(
    entry: bytes, proof_text: str, vkeys: Iterable[str | VerifierKey], *, origin: str | None = None
) -> Checkpoint:
    """Prove that exactly these entry bytes are in the log, and give the signed checkpoint that says so.

    (1) The text is a proof. (2) Its checkpoint is signed by a pinned key of that log. (3) The path leads
    from the entry's leaf hash to the checkpoint's root. Raises: ProofInvalid, CheckpointInvalid.
    """
    proof = parse_proof(proof_text)
    checkpoint = open_checkpoint(proof.note, vkeys, origin=origin)
    verify_inclusion(proof.index, checkpoint.size, leaf_hash(entry), proof.hashes, checkpoint.root)
    return checkpoint


def _unbase64(text: str) -> bytes:
    data = base64_bytes(text)
    if data is None:
        raise _form("a line that is not base64")
    return data


def _form(what: str) -> ProofInvalid:
    return ProofInvalid(f"proof: {what}", rule="P1-form")
