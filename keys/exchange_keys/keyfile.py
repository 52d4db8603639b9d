"""Key files: an agency's secret keys, encrypted under a passphrase (Argon2id) or under a store key.

Strict JSON with a clear header (cost, label, public keys) and one box of secrets that repeats the header,
so that neither can be exchanged. A checksum tells a damaged file from a wrong passphrase. A key file must
never be written half, be readable by others, or make a reader spend more than its bounds.
Sources: RFC 9106 (Argon2id), NaCl secretbox; protocol.md "Keys of an agency".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nacl.exceptions
import nacl.pwhash
import nacl.secret

from exchange_keys.box import StoreKey
from exchange_keys.durable import durable_file
from exchange_keys.keyfile_format import (
    MAX_FILE_BYTES,
    Cost,
    Header,
    KeyMaterial,
    PassphraseKdf,
    PublicEntry,
    StoreKdf,
    box_plaintext,
    file_bytes,
    parse_file,
    read_box,
)
from exchange_keys.passphrase import check_strength
from exchange_schemas.errors import ConfigInvalid, StoreCorrupt, WrongPassphrase

__all__ = [
    "Cost",
    "KeyMaterial",
    "PublicEntry",
    "read_keyfile",
    "read_keyfile_with_store_key",
    "write_keyfile",
    "write_keyfile_with_store_key",
]

_STORE_CONTEXT = b"hx1/keyfile"


def write_keyfile(
    path: Path,
    secrets: Mapping[str, bytes],
    public: Sequence[PublicEntry],
    *,
    passphrase: bytes,
    cost: Cost = Cost.MODERATE,
    label: str = "",
    replace: bool = False,
    allow_insecure: bool = False,
    random: Callable[[int], bytes] = os.urandom,
) -> None:
    """Write secrets (by name, at most 8 KiB each) under a passphrase; 0600, whole or not at all.

    An existing file is kept unless `replace`. The INSECURE cost is for tests and needs `allow_insecure`.
    Raises: ConfigInvalid (weak passphrase or cost), Malformed (names or sizes), Conflict (it exists),
    StorageFull, OSError.
    """
    check_cost(cost.ops, cost.mem_kib, allow_insecure=allow_insecure)
    if cost is not Cost.INSECURE:
        check_strength(passphrase)
    kdf = PassphraseKdf(cost.label, cost.ops, cost.mem_kib, random(PassphraseKdf.SALT_BYTES))
    header = Header(kdf, label, tuple(public))
    box = nacl.secret.SecretBox(_derive(kdf, passphrase))
    sealed = box.encrypt(box_plaintext(header, secrets), random(box.NONCE_SIZE))
    _write(path, file_bytes(header, bytes(sealed)), replace=replace)


def read_keyfile(path: Path, *, passphrase: bytes, allow_insecure: bool = False) -> KeyMaterial:
    """Open a key file with its passphrase.

    Steps: (1) strict structure and checksum (2) cost within bounds (3) derive (4) open (5) the header in
    the box equals the header outside.
    Raises: KeyFileCorrupt (1, 2, 5), WrongPassphrase (4), ConfigInvalid (the file cannot be read, is of the
    other kind, has the INSECURE cost without `allow_insecure`, or needs more memory than there is).
    """
    header, sealed = parse_file(_read(path))
    if not isinstance(header.kdf, PassphraseKdf):
        raise ConfigInvalid("key file: it opens with a store key, not with a passphrase", field="keyfile")
    check_cost(header.kdf.ops, header.kdf.mem_kib, allow_insecure=allow_insecure)
    box = nacl.secret.SecretBox(_derive(header.kdf, passphrase))
    try:
        plaintext = box.decrypt(sealed)
    except nacl.exceptions.CryptoError:
        raise WrongPassphrase(
            "the passphrase does not open the key file",
            hint="try again; if the passphrase is surely right, the file was altered: restore a backup",
        ) from None
    return read_box(header, plaintext)


def write_keyfile_with_store_key(
    path: Path,
    secrets: Mapping[str, bytes],
    public: Sequence[PublicEntry],
    *,
    key: StoreKey,
    label: str = "",
    replace: bool = False,
) -> None:
    """As `write_keyfile`, under a store key: no passphrase and no Argon2.

    Raises: Malformed, Conflict, StorageFull, OSError.
    """
    header = Header(StoreKdf(), label, tuple(public))
    sealed = key.seal(box_plaintext(header, secrets), _STORE_CONTEXT)
    _write(path, file_bytes(header, sealed), replace=replace)


def read_keyfile_with_store_key(path: Path, *, key: StoreKey) -> KeyMaterial:
    """Open a key file that was written under a store key.

    Raises: KeyFileCorrupt, WrongPassphrase (another store key), ConfigInvalid.
    """
    header, sealed = parse_file(_read(path))
    if not isinstance(header.kdf, StoreKdf):
        raise ConfigInvalid("key file: it opens with a passphrase, not with a store key", field="keyfile")
    try:
        plaintext = key.open(sealed, _STORE_CONTEXT)
    except StoreCorrupt:
        raise WrongPassphrase(
            "the store key does not open the key file",
            hint="it was written under another store key, or the file was altered",
        ) from None
    return read_box(header, plaintext)


def check_cost(ops: int, mem_kib: int, *, allow_insecure: bool) -> None:
    """Refuse a cost under `moderate` unless `allow_insecure`. Raises: ConfigInvalid."""
    weak = ops < Cost.MODERATE.ops or mem_kib < Cost.MODERATE.mem_kib
    if weak and not allow_insecure:
        raise ConfigInvalid(
            "key file: its cost is INSECURE and only good for tests",
            field="cost",
            rule="insecure-cost",
            hint="make a key file with the cost moderate or sensitive",
        )


def _derive(kdf: PassphraseKdf, passphrase: bytes) -> bytes:
    try:
        return nacl.pwhash.argon2id.kdf(
            nacl.secret.SecretBox.KEY_SIZE, passphrase, kdf.salt, kdf.ops, kdf.mem_kib * 1024
        )
    except nacl.exceptions.RuntimeError:
        raise ConfigInvalid(
            "key file: this machine has not enough free memory for its cost",
            field="cost",
            hint=f"{kdf.mem_kib // 1024} MiB are needed for a moment",
        ) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError:
        raise ConfigInvalid(
            "key file: it cannot be read", field="keyfile", hint="check the path and who may read it"
        ) from None


def _write(path: Path, data: bytes, *, replace: bool) -> None:
    with durable_file(path, replace=replace) as file:
        file.write(data)
