"""The root key file: two seeds under a passphrase of its own, used at enrolment and for new approvers."""

from __future__ import annotations

from pathlib import Path

from exchange.member.files import read_bounded
from exchange_keys.keyfile import Cost, PublicEntry, read_keyfile, write_keyfile
from exchange_keys.keyfile_format import MAX_FILE_BYTES, parse_file
from exchange_keys.public import ED25519, ML_DSA_65, PublicKey
from exchange_keys.root import RootKey
from exchange_schemas.errors import ConfigInvalid, KeyFileCorrupt

_ED25519, _MLDSA65 = "ed25519", "mldsa65"


def root_label(agency: str) -> str:
    """What the file of an agency's root is called inside."""
    return f"{agency} root"


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
    return open_root_file(path, passphrase=passphrase, allow_insecure=allow_insecure)[0]


def open_root_file(path: Path, *, passphrase: bytes, allow_insecure: bool) -> tuple[RootKey, str]:
    """The root and the label of its file, which names the agency. Raises: WrongPassphrase, KeyFileCorrupt."""
    material = read_keyfile(path, passphrase=passphrase, allow_insecure=allow_insecure)
    root = RootKey.from_seeds(ed25519=material.secret(_ED25519), mldsa65=material.secret(_MLDSA65))
    return root, material.label


def root_public(path: Path) -> tuple[str, PublicKey, PublicKey] | None:
    """Label, Ed25519 and ML-DSA-65 key that a root's file shows without its passphrase; None: it is none."""
    try:
        header, _ = parse_file(read_bounded(path, limit=MAX_FILE_BYTES, what=path.name))
    except (KeyFileCorrupt, ConfigInvalid):
        return None
    keys = {entry.key.alg: entry.key for entry in header.public if entry.use == "root"}
    if set(keys) != {ED25519, ML_DSA_65}:
        return None
    return header.label, keys[ED25519], keys[ML_DSA_65]
