"""The root key file: two seeds under a passphrase of its own, used at enrolment and for new approvers."""

from __future__ import annotations

from pathlib import Path

from exchange_keys.keyfile import Cost, PublicEntry, read_keyfile, write_keyfile
from exchange_keys.root import RootKey
from exchange_schemas.errors import ConfigInvalid

_ED25519, _MLDSA65 = "ed25519", "mldsa65"


def write_root(path: Path, root: RootKey, *, passphrase: bytes, label: str, insecure: bool) -> None:
    """Write the root's key file. Raises: Conflict when one is there, ConfigInvalid for a weak passphrase."""
    ed25519, mldsa65 = root.seeds
    write_keyfile(
        path,
        {_ED25519: ed25519, _MLDSA65: mldsa65},
        [PublicEntry("root", key) for key in root.publics],
        passphrase=passphrase,
        cost=Cost.INSECURE if insecure else Cost.MODERATE,
        label=label,
        allow_insecure=insecure,
    )


def read_root(path: Path, *, passphrase: bytes, allow_insecure: bool) -> RootKey:
    """Open the root. Raises: ConfigInvalid (not there), WrongPassphrase, KeyFileCorrupt."""
    if not path.is_file():
        raise ConfigInvalid(
            "the root key file is not in the folder",
            field="root-key",
            hint="fetch it from where it is kept and name it with --root-key",
        )
    material = read_keyfile(path, passphrase=passphrase, allow_insecure=allow_insecure)
    return RootKey.from_seeds(ed25519=material.secret(_ED25519), mldsa65=material.secret(_MLDSA65))
