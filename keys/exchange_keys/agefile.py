"""age files: a secret for an officer's safe, opened with the `age` program or with this one.

For the recovery key only, and nothing that leaves an agency's own people. Needs the extra `recovery`, which
is pyrage; the format is age v1, so that the file can be opened years from now without this program.
Source: C2SP age (age-encryption.org/v1).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from exchange_keys.passphrase import check_strength
from exchange_schemas.errors import ConfigInvalid, KeyFileCorrupt, MissingExtra, WrongPassphrase

MAX_BYTES = 64 * 1024
_TOO_MUCH_WORK = "Excessive work parameter"


def seal_with_passphrase(plain: bytes, passphrase: bytes) -> bytes:
    """An age file that this passphrase opens. Raises: MissingExtra, ConfigInvalid (a weak passphrase)."""
    check_strength(passphrase)
    sealed: bytes = _pyrage().passphrase.encrypt(plain, passphrase.decode())
    return sealed


def seal_to_recipients(plain: bytes, recipients: Sequence[str]) -> bytes:
    """An age file for these `age1…` recipients. Raises: MissingExtra, ConfigInvalid (not a recipient)."""
    pyrage = _pyrage()
    try:
        keys = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
    except pyrage.RecipientError:
        raise ConfigInvalid("recipient: not an age1… recipient", field="recipient") from None
    if not keys:
        raise ConfigInvalid("recipient: at least one is needed", field="recipient")
    sealed: bytes = pyrage.encrypt(plain, keys)
    return sealed


def open_with_passphrase(sealed: bytes, passphrase: bytes) -> bytes:
    """What `seal_with_passphrase` sealed.

    Raises: MissingExtra, WrongPassphrase, KeyFileCorrupt; ConfigInvalid where this machine is so much slower
    than the one that sealed it that pyrage does not begin: the passphrase may well be the right one.
    """
    pyrage = _pyrage()
    _check_file(sealed)
    try:
        plain: bytes = pyrage.passphrase.decrypt(sealed, passphrase.decode())
    except (pyrage.DecryptError, UnicodeDecodeError) as error:
        # pyrage has one class for all; only its text tells them apart.
        if str(error).startswith(_TOO_MUCH_WORK):
            raise ConfigInvalid(
                "the age file: opening it takes more work than this machine does in reasonable time now",
                hint="the passphrase was not tried: try again when nothing else runs, or on a faster machine",
            ) from None
        raise WrongPassphrase("the age file does not open with this passphrase") from None
    return plain


def open_with_identity(sealed: bytes, identity: str) -> bytes:
    """What `seal_to_recipients` sealed, by an `AGE-SECRET-KEY-1…`.

    Raises: MissingExtra, ConfigInvalid (not an identity), WrongPassphrase, KeyFileCorrupt.
    """
    pyrage = _pyrage()
    _check_file(sealed)
    try:
        key = pyrage.x25519.Identity.from_str(identity)
    except pyrage.IdentityError:
        raise ConfigInvalid("identity: not an AGE-SECRET-KEY-1… line", field="identity") from None
    try:
        plain: bytes = pyrage.decrypt(sealed, [key])
    except pyrage.DecryptError:
        raise WrongPassphrase("the age file does not open with this identity") from None
    return plain


def _check_file(sealed: bytes) -> None:
    if not sealed.startswith(b"age-encryption.org/v1\n") or len(sealed) > MAX_BYTES:
        raise KeyFileCorrupt("not an age file")


def _pyrage() -> ModuleType:
    try:
        pyrage = import_module("pyrage")
    except ModuleNotFoundError:
        raise MissingExtra(
            "age files need the extra 'recovery'", hint='pip install "homeward-exchange[recovery]"'
        ) from None
    return pyrage
