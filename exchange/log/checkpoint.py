"""Checkpoints: the size and root of a log, signed (C2SP tlog-checkpoint, without extension lines).

A checkpoint says nothing about time, and two of them say nothing about each other without a consistency
proof. Signing here never asks whether the tree only grew: the caller must have made sure before.

Every `CheckpointInvalid` carries the rule that failed: N1 to N3 of `exchange.log.note`, and
  C1-form    the text is not origin, size and root, one line each and nothing more
  C2-origin  it is of another log, or no key of that log signed it
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from exchange.log.encoding import base64_bytes, base64_text
from exchange.log.note import (
    TYPE_ED25519,
    VerifierKey,
    is_key_name,
    join_note,
    key_id,
    open_note,
    parse_vkey,
    signature_line,
    vkey,
)
from exchange.log.tree import HASH_BYTES, MAX_SIZE
from exchange_keys.public import PublicKey
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import CheckpointInvalid

__all__ = [
    "Checkpoint",
    "LogKey",
    "VerifierKey",
    "keys_of",
    "open_checkpoint",
    "parse_vkey",
    "sign_checkpoint",
    "vkey",
]

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the log's origin, the number of its leaves, and its 32-byte root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text, three lines.

        Raises: CheckpointInvalid (C1-form) when a value cannot stand in one.
        """
        if self.origin == "" or not self.origin.isprintable():
            raise _form("the origin is empty or has a control character")
        if not 0 <= self.size <= MAX_SIZE:
            raise _form("the size is out of range")
        if len(self.root) != HASH_BYTES:
            raise _form("the root does not have 32 bytes")
        return f"{self.origin}\n{self.size}\n{base64_text(self.root)}\n"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a note text; no other spelling of the same values is accepted.

        Raises: CheckpointInvalid (C1-form).
        """
        lines = text.split("\n")
        if len(lines) != 4:
            raise _form("not origin, size and root on three lines")
        origin, size, root, _ = lines
        if _SIZE.fullmatch(size) is None:
            raise _form("the size is not a plain number")
        data = base64_bytes(root)
        if data is None:
            raise _form("the root is not base64")
        checkpoint = cls(origin, int(size), data)
        if checkpoint.text() != text:
            raise _form("the last line does not end, or more follows")
        return checkpoint


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log's key while it changes over: the new one, and the one before that pinned copies still know.

    Every checkpoint bears both signatures, so that nobody has to change pins on the same day.
    """

    current: SigningKey
    before: SigningKey

    @property
    def public(self) -> PublicKey:
        """The key to pin from now on."""
        return self.current.public


def keys_of(key: SigningKey | LogKey) -> tuple[SigningKey, ...]:
    """The keys that sign for a log, the one to pin first."""
    return (key.current, key.before) if isinstance(key, LogKey) else (key,)


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey | LogKey, name: str | None = None) -> str:
    """The checkpoint as a note signed by `key`; its line bears the log's origin unless `name` is given.

    A key that changes over makes two lines, the new one first. Ed25519 is deterministic: the same checkpoint
    and key give the same note. Raises: CheckpointInvalid.
    """
    text = checkpoint.text()
    signer = checkpoint.origin if name is None else name
    if not is_key_name(signer):
        raise _form("a signer's name is empty or has a space or a plus")
    lines = (
        signature_line(signer, key_id(signer, TYPE_ED25519, one.public.raw), one.sign(text.encode()))
        for one in keys_of(key)
    )
    return join_note(text, tuple(lines))


def open_checkpoint(
    note: str, vkeys: Iterable[str | VerifierKey], *, origin: str | None = None
) -> Checkpoint:
    """The checkpoint of a note that a pinned key signed.

    (1) The note is well formed and every line of a pinned key verifies. (2) Its text is a checkpoint.
    (3) It is of the expected log: of `origin` when that is given, else of a log whose key name signed it.
    Raises: CheckpointInvalid; ConfigInvalid for a pinned key that is none.
    """
    keys = [key if isinstance(key, VerifierKey) else parse_vkey(key) for key in vkeys]
    opened = open_note(note, keys)
    checkpoint = Checkpoint.from_text(opened.text)
    expected = {signer.name for signer in opened.signers} if origin is None else {origin}
    if checkpoint.origin not in expected:
        raise CheckpointInvalid("checkpoint: it is of another log", rule="C2-origin", field="origin")
    return checkpoint


def _form(what: str) -> CheckpointInvalid:
    return CheckpointInvalid(f"checkpoint: {what}", rule="C1-form")
