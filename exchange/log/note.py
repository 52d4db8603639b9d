"""Signed notes: text under one or more signature lines (C2SP signed-note), with Ed25519 keys of type 0x01.

A note's text means nothing until a pinned key has signed it, so `open_note` is the only way to the text.
Lines by unknown keys are ignored, as the specification demands (witnesses add theirs); a line that names
a pinned key and does not verify makes the whole note worthless. Nothing here may guess a key from a note.

Every `CheckpointInvalid` carries the rule that failed:
  N1-form       not a note: encoding, control characters, the blank line, a signature line, too long
  N2-signature  a line of a pinned key does not verify
  N3-unsigned   no pinned key signed it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from exchange.log.encoding import base64_bytes, base64_text
from exchange_keys.signing import verify_ed25519
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid, Malformed, SigInvalid

TYPE_ED25519: Final = 0x01
KEY_ID_BYTES: Final = 4
NOTE_BYTES: Final = 64 * 1024
"""The longest note that is read: room for some hundred signatures."""
NOTE_CHARS: Final = 1024 * 1024
"""Room for 64 post-quantum cosignatures."""
NOTE_SIGNATURES: Final = 64
_PUBLIC_BYTES: Final = 32
_DASH: Final = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A pinned key: the name and the key id of its lines, and the raw public key of `type`."""

    name: str
    key_id: bytes
    type: int
    public: bytes


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who it claims to be by, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """The text of a note, with the pinned keys that signed it, in the order of their lines."""

    text: str
    signers: tuple[VerifierKey, ...]


@lru_cache(maxsize=256)
def key_id(name: str, key_type: int, public: bytes) -> bytes:
    """The first 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key)."""
    return sha256(name.encode() + b"\n" + bytes([key_type]) + public).digest()[:KEY_ID_BYTES]


def vkey(name: str, public_raw: bytes) -> str:
    """The verifier key string `name+hex(key id)+base64(0x01 ‖ public)` of a log's raw Ed25519 key.

    Raises: ConfigInvalid when the name or the key cannot stand in one.
    """
    return typed_vkey(name, public_raw, TYPE_ED25519)


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key string; only Ed25519 keys of type 0x01, and only with the key id they must have.

    Raises: ConfigInvalid.
    """
    return parse_typed_vkey(text, TYPE_ED25519)


def typed_vkey(name: str, public_raw: bytes, key_type: int) -> str:
    """As `vkey`, for an Ed25519 key that signs under another type. Raises: ConfigInvalid."""
    if not is_key_name(name):
        raise ConfigInvalid("verifier key: the name is empty or has a space, a plus or a control character")
    if len(public_raw) != _PUBLIC_BYTES:
        raise ConfigInvalid("verifier key: an Ed25519 key has 32 bytes")
    identifier = key_id(name, key_type, public_raw).hex()
    return f"{name}+{identifier}+{base64_text(bytes([key_type]) + public_raw)}"


def parse_typed_vkey(text: str, key_type: int) -> VerifierKey:
    """As `parse_vkey`, for keys of exactly `key_type`. Raises: ConfigInvalid."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not is_key_name(parts[0]):
        raise ConfigInvalid("verifier key: not of the form name+id+key")
    name, identifier, encoded = parts
    data = base64_bytes(encoded)
    if data is None or len(data) != 1 + _PUBLIC_BYTES or data[0] != key_type:
        raise ConfigInvalid(f"verifier key: not an Ed25519 key of type 0x{key_type:02x}")
    expected = key_id(name, key_type, data[1:])
    if identifier != expected.hex():
        raise ConfigInvalid("verifier key: its id is not that of its name and key")
    return VerifierKey(name, expected, key_type, data[1:])


def signature_line(name: str, identifier: bytes, signature: bytes) -> str:
    """One signature line with its newline."""
    return f"{_DASH}{name} {base64_text(identifier + signature)}\n"


def join_note(text: str, lines: Sequence[str]) -> str:
    """The note over `text` (which ends in a newline) with these signature lines."""
    return text + "\n" + "".join(lines)


def split_note(note: str) -> tuple[str, tuple[NoteSignature, ...]]:
    """The text and the signature lines of a note, nothing verified.

    Raises: CheckpointInvalid (N1-form).
    """
    _check_characters(note)
    body, blank, tail = note.rpartition("\n\n")
    if blank == "" or not tail.endswith("\n"):
        raise _form("there is no blank line, or the last line does not end")
    lines = tail[:-1].split("\n")
    if len(lines) > NOTE_SIGNATURES:
        raise _form(f"more than {NOTE_SIGNATURES} signature lines")
    return body + "\n", tuple(_parse_line(line) for line in lines)


def open_note(note: str, keys: Sequence[VerifierKey]) -> OpenedNote:
    """The text of a note that at least one of `keys` signed; every line of one of them must verify.

    Raises: CheckpointInvalid.
    """
    text, signatures = split_note(note)
    pinned = {(key.name, key.key_id): key for key in keys}
    message = text.encode()
    signers = []
    for line in signatures:
        key = pinned.get((line.name, line.key_id))
        if key is None:
            continue
        try:
            verify_ed25519(key.public, message, line.signature)
        except (SigInvalid, Malformed):
            raise CheckpointInvalid("note: a pinned key's signature is bad", rule="N2-signature") from None
        if key not in signers:
            signers.append(key)
    if not signers:
        raise CheckpointInvalid("note: no pinned key signed it", rule="N3-unsigned")
    return OpenedNote(text, tuple(signers))


def _check_characters(note: str) -> None:
    if len(note) > NOTE_CHARS:
        raise _form(f"longer than {NOTE_CHARS} characters")
    if any(char < " " and char != "\n" for char in note):
        raise _form("a control character")
    if any("\ud800" <= char <= "\udfff" for char in note):
        raise _form("not UTF-8")


def _parse_line(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    data = base64_bytes(encoded)
    if not line.startswith(_DASH) or space == "" or not _is_name(name):
        raise _form("a signature line without dash, name or signature")
    if data is None or len(data) <= KEY_ID_BYTES:
        raise _form("a signature that is not base64 of a key id and more")
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _form(what: str) -> CheckpointInvalid:
    return CheckpointInvalid(f"note: {what}", rule="N1-form")


@lru_cache(maxsize=256)
def is_key_name(name: str) -> bool:
    """Whether our own keys may bear this name: what a note allows, and printable."""
    return _is_name(name) and name.isprintable()


def _is_name(name: str) -> bool:
    return name != "" and "+" not in name and not any(char.isspace() for char in name)
