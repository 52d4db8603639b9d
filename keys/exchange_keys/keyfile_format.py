"""The key file's format: what stands in the clear, what lies in the box, and the bounds of both.

Pure: bytes in, values out. It must never derive a key, and never accept a cost that a reader could not
bear or a box that belongs to another header.

    {v, typ: "hx-keyfile", kdf, label, public: [{use, alg, kid, key}], box, sum}
    kdf = {alg: "argon2id", cost, ops, mem_kib, salt} or {alg: "store"}
    box = sealed {header: {v, typ, kdf, label, public}, secrets: {name: base64url}}
    sum = H(LP("hx1/keyfile") ‖ LP(all other members as strict JSON)), against accidents only
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import ClassVar

from exchange_keys.public import PublicKey
from exchange_keys.secret import Secret
from exchange_schemas.codec import Encodable, JsonValue, b64u, decode, encode, lp, sha256, unb64u
from exchange_schemas.errors import ConfigInvalid, KeyFileCorrupt, Malformed
from exchange_schemas.ids import Kid
from exchange_schemas.limits import LIMITS

VERSION = 1
TYP = "hx-keyfile"
MAX_FILE_BYTES = 1024 * 1024
MAX_SECRET_BYTES = 8 * 1024
MAX_ENTRIES = 512

# A crafted file must not exhaust the reader: at most 4 GiB and 16 passes.
MAX_MEM_KIB = 4 * 1024 * 1024
MAX_OPS = 16
_MIN_MEM_KIB = 8

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_USE = re.compile(r"[a-z][a-z0-9-]{0,19}")


class Cost(Enum):
    """Argon2id costs by name: passes and memory in KiB. INSECURE is for tests alone."""

    MODERATE = ("moderate", 3, 256 * 1024)
    SENSITIVE = ("sensitive", 4, 1024 * 1024)
    INSECURE = ("INSECURE", 1, 8)

    @property
    def label(self) -> str:
        """The name as it stands in the file and on the command line."""
        return self.value[0]

    @property
    def ops(self) -> int:
        """Argon2 passes over the memory."""
        return self.value[1]

    @property
    def mem_kib(self) -> int:
        """Memory in KiB."""
        return self.value[2]

    @classmethod
    def named(cls, label: str) -> Cost:
        """The cost of that name. Raises: ConfigInvalid."""
        for cost in cls:
            if cost.label == label:
                return cost
        raise ConfigInvalid("cost: one of moderate, sensitive, INSECURE is needed", field="cost")


@dataclass(frozen=True, slots=True)
class PassphraseKdf:
    """Argon2id with its cost and a salt of 16 bytes."""

    SALT_BYTES: ClassVar[int] = 16

    cost: str
    ops: int
    mem_kib: int
    salt: bytes

    def to_json(self) -> dict[str, JsonValue]:
        """The `kdf` member."""
        return {
            "alg": "argon2id",
            "cost": self.cost,
            "ops": self.ops,
            "mem_kib": self.mem_kib,
            "salt": b64u(self.salt),
        }


@dataclass(frozen=True, slots=True)
class StoreKdf:
    """No derivation: the box is sealed under a store key."""

    def to_json(self) -> dict[str, JsonValue]:
        """The `kdf` member."""
        return {"alg": "store"}


@dataclass(frozen=True, slots=True)
class PublicEntry:
    """A public key of the file and what it is for (`root`, `envelope`, `approver`, `enc`, `auth`, …)."""

    use: str
    key: PublicKey

    @property
    def kid(self) -> Kid:
        """The key's id."""
        return self.key.kid

    def to_json(self) -> dict[str, JsonValue]:
        """The member of `public`."""
        return {"use": self.use, "alg": self.key.alg, "kid": self.key.kid, "key": b64u(self.key.raw)}


@dataclass(frozen=True, slots=True)
class Header:
    """The clear part of a key file."""

    kdf: PassphraseKdf | StoreKdf
    label: str
    public: tuple[PublicEntry, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """The members outside the box, as they are repeated inside it."""
        return {
            "v": VERSION,
            "typ": TYP,
            "kdf": self.kdf.to_json(),
            "label": self.label,
            "public": [entry.to_json() for entry in self.public],
        }


class KeyMaterial(Secret):
    """An opened key file: its label, its public keys and its secrets by name."""

    __slots__ = ("_secrets", "label", "public")

    def __init__(self, label: str, public: tuple[PublicEntry, ...], secrets: Mapping[str, bytes]) -> None:
        self.label = label
        self.public = public
        self._secrets = MappingProxyType(dict(secrets))

    @property
    def secrets(self) -> Mapping[str, bytes]:
        """All secrets by name, read-only; give them to a key class and nothing else."""
        return self._secrets

    def secret(self, name: str) -> bytes:
        """The secret of that name. Raises: ConfigInvalid when the file has none."""
        found = self._secrets.get(name)
        if found is None:
            raise ConfigInvalid("key file: it has no such key", field="keyfile", rule="key-missing")
        return found


def box_plaintext(header: Header, secrets: Mapping[str, bytes]) -> bytes:
    """What is sealed into the box: the header again and the secrets.

    Raises: Malformed (a name, a size, a label or the number of entries).
    """
    _check_header(header)
    if len(secrets) > MAX_ENTRIES:
        raise Malformed("secrets: too many", field="secrets")
    for name, secret in secrets.items():
        if _NAME.fullmatch(name) is None or not 1 <= len(secret) <= MAX_SECRET_BYTES:
            raise Malformed("secrets: a name or a size is not allowed", field="secrets")
    named: dict[str, Encodable] = {name: b64u(secret) for name, secret in secrets.items()}
    return encode({"header": header.to_json(), "secrets": named})


def file_bytes(header: Header, sealed: bytes) -> bytes:
    """The whole file. Raises: Malformed when it is over 1 MiB."""
    members = {**header.to_json(), "box": b64u(sealed)}
    return encode({**members, "sum": _checksum(members)}, limit=MAX_FILE_BYTES)


def parse_file(data: bytes) -> tuple[Header, bytes]:
    """Header and sealed box of a key file: structure, checksum, cost bounds, kids.

    Raises: KeyFileCorrupt.
    """
    try:
        members = _members(decode(data, limit=MAX_FILE_BYTES), "v typ kdf label public box sum")
        claimed = members.pop("sum")
        if claimed != _checksum(members):
            raise Malformed("the checksum is wrong")
        sealed = unb64u(members.pop("box"), field="box")
        return _parse_header(members), sealed
    except Malformed as error:
        raise KeyFileCorrupt(
            f"the key file is damaged or was altered ({error.message})",
            field="keyfile",
            hint="restore it from a backup; the passphrase is not the problem",
        ) from None


def read_box(header: Header, plaintext: bytes) -> KeyMaterial:
    """The secrets of an opened box, when it repeats the header outside.

    Raises: KeyFileCorrupt.
    """
    try:
        members = _members(decode(plaintext, limit=MAX_FILE_BYTES), "header secrets")
        if members["header"] != header.to_json():
            raise Malformed("the clear part is not the one that was sealed")
        listed = members["secrets"]
        if not isinstance(listed, dict):
            raise Malformed("secrets: an object is needed")
        secrets = {name: unb64u(text, field="secrets") for name, text in listed.items()}
    except Malformed as error:
        raise KeyFileCorrupt(
            f"the key file was altered ({error.message})", field="keyfile", hint="restore it from a backup"
        ) from None
    return KeyMaterial(header.label, header.public, secrets)


def _checksum(members: Mapping[str, JsonValue]) -> str:
    return b64u(sha256(lp(b"hx1/keyfile", encode(members))))


def _members(value: JsonValue, names: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict) or set(value) != set(names.split()):
        raise Malformed("the members are not those of a key file")
    return value


def _parse_header(members: Mapping[str, JsonValue]) -> Header:
    if members["v"] is True or members["v"] != VERSION or members["typ"] != TYP:
        raise Malformed("another version or type of file")
    label, listed = members["label"], members["public"]
    if not isinstance(label, str) or not isinstance(listed, list):
        raise Malformed("label and public have other types")
    header = Header(_parse_kdf(members["kdf"]), label, tuple(_parse_entry(item) for item in listed))
    _check_header(header)
    return header


def _check_header(header: Header) -> None:
    if not header.label.isprintable() or len(header.label) > LIMITS.name_chars:
        raise Malformed("label: too long or not printable", field="label")
    if len(header.public) > MAX_ENTRIES or any(_USE.fullmatch(e.use) is None for e in header.public):
        raise Malformed("public: too many entries, or a use that is no name", field="public")


def _parse_kdf(value: JsonValue) -> PassphraseKdf | StoreKdf:
    if value == StoreKdf().to_json():
        return StoreKdf()
    members = _members(value, "alg cost ops mem_kib salt")
    cost = members["cost"]
    if members["alg"] != "argon2id" or not isinstance(cost, str) or _NAME.fullmatch(cost) is None:
        raise Malformed("kdf: not Argon2id with a named cost")
    ops = _bounded(members["ops"], 1, MAX_OPS)
    mem_kib = _bounded(members["mem_kib"], _MIN_MEM_KIB, MAX_MEM_KIB)
    return PassphraseKdf(cost, ops, mem_kib, unb64u(members["salt"], field="salt", length=16))


def _bounded(value: JsonValue, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Malformed("kdf: a cost outside the bounds of any reader")
    return value


def _parse_entry(value: JsonValue) -> PublicEntry:
    members = _members(value, "use alg kid key")
    use, alg = members["use"], members["alg"]
    if not isinstance(use, str) or not isinstance(alg, str):
        raise Malformed("public: use and alg must be text")
    entry = PublicEntry(use, PublicKey(alg, unb64u(members["key"], field="key", limit=2048)))
    if entry.kid != members["kid"]:
        raise Malformed("public: a kid is not that of its key")
    return entry
