"""The operating system's keyring as a place for a user's passphrase, where the agency wants that.

Off unless HOMEWARD_KEYRING=1. It spares typing and costs this: whoever sits at the unlocked session opens
the folder. Needs the extra `keyring`. A backend that the library itself does not recommend, such as one that
keeps plain text, is refused; nothing here may fall back to one.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final

from exchange_schemas.errors import ConfigInvalid, MissingExtra

VARIABLE: Final = "HOMEWARD_KEYRING"
SERVICE: Final = "homeward-exchange"


def wanted() -> bool:
    """Whether passphrases are looked for in the keyring."""
    return os.environ.get(VARIABLE, "") == "1"


def remember(agency: str, user: str, passphrase: bytes) -> None:
    """Keep a passphrase. Raises: MissingExtra, ConfigInvalid (no keyring that keeps secrets)."""
    keyring = _keyring()
    try:
        keyring.set_password(SERVICE, _entry(agency, user), passphrase.decode())
    except keyring.errors.KeyringError as error:
        raise _refused(error) from error


def recall(agency: str, user: str) -> bytes | None:
    """The kept passphrase, or None. Raises: as `remember`."""
    keyring = _keyring()
    try:
        found = keyring.get_password(SERVICE, _entry(agency, user))
    except keyring.errors.KeyringError as error:
        raise _refused(error) from error
    return None if found is None else str(found).encode()


def forget(agency: str, user: str) -> bool:
    """Take a passphrase out; whether there was one. Raises: as `remember`."""
    keyring = _keyring()
    try:
        keyring.delete_password(SERVICE, _entry(agency, user))
    except keyring.errors.PasswordDeleteError:
        return False
    except keyring.errors.KeyringError as error:
        raise _refused(error) from error
    return True


def _entry(agency: str, user: str) -> str:
    return f"{agency}/{user}"


def _keyring() -> ModuleType:
    try:
        import keyring
        import keyring.core
        import keyring.errors
    except ModuleNotFoundError:
        raise MissingExtra(
            "the system's keyring needs the extra 'keyring'", hint='pip install "homeward-exchange[keyring]"'
        ) from None
    if not keyring.core.recommended(keyring.get_keyring()):
        raise ConfigInvalid(
            "this machine has no keyring that keeps secrets",
            field=VARIABLE,
            hint=f"unset {VARIABLE} and type the passphrase, or set up the system's keyring",
        )
    return keyring


def _refused(error: Exception) -> ConfigInvalid:
    return ConfigInvalid(
        f"the system's keyring refused ({type(error).__name__})", hint="unlock it, or unset HOMEWARD_KEYRING"
    )
