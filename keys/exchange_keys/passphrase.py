"""Reading a passphrase: from a prompt, a file or a file descriptor.

Never from argv or the environment, which other users and child processes can read, and never echoed. A
passphrase is brought to Unicode NFC, so that it opens the key file on another keyboard too.
"""

from __future__ import annotations

import getpass
import os
import stat
import unicodedata
import warnings
from pathlib import Path

from exchange_schemas.errors import ConfigInvalid

MIN_CHARS = 12
MAX_BYTES = 1024


def read_passphrase(
    prompt: str, *, file: Path | None, fd: int | None, confirm: bool = False, again: str = "Repeat it: "
) -> bytes:
    """The passphrase as UTF-8 bytes: the first line of `file` or `fd`, else from the terminal.

    `confirm` means that it is a new one: at least 12 characters, and asked for twice at a terminal,
    the second time with `again`.
    A file that others can read is refused.
    Raises: ConfigInvalid.
    """
    if file is not None and fd is not None:
        raise ConfigInvalid("passphrase: give a file or a file descriptor, not both", field="passphrase")
    if file is not None:
        passphrase = _clean(_from_file(file))
    elif fd is not None:
        passphrase = _clean(_first_line(fd))
    else:
        passphrase = _clean(_ask(prompt))
        if confirm and _clean(_ask(again)) != passphrase:
            raise ConfigInvalid("passphrase: the two are not the same", field="passphrase")
    if confirm:
        check_strength(passphrase)
    return passphrase


def check_strength(passphrase: bytes) -> None:
    """Refuse a new passphrase of fewer than 12 characters. Raises: ConfigInvalid."""
    if len(passphrase.decode("utf-8", "replace")) < MIN_CHARS:
        raise ConfigInvalid(
            f"passphrase: at least {MIN_CHARS} characters are needed",
            field="passphrase",
            hint="four or more random words are easy to remember and hard to guess",
        )


def _ask(prompt: str) -> bytes:
    with warnings.catch_warnings():
        # getpass warns and then echoes where there is no terminal; that must not happen.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt).encode("utf-8", "surrogateescape")
        except (getpass.GetPassWarning, EOFError):
            raise ConfigInvalid(
                f"passphrase: there is no terminal to ask at ({prompt.strip(' :')})",
                field="passphrase",
                hint="give a passphrase file or a file descriptor",
            ) from None


def _from_file(file: Path) -> bytes:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise ConfigInvalid("passphrase: the file cannot be read", field="passphrase") from None
    try:
        found = os.fstat(handle)
        # A pipe (process substitution) has no readers to fear.
        if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigInvalid(
                "passphrase: others can read the file", field="passphrase", hint="run chmod 600 on it"
            )
        return _first_line(handle)
    finally:
        os.close(handle)


def _first_line(handle: int) -> bytes:
    """The bytes up to the first line feed; read one by one, so that a next reader finds the next line."""
    line = bytearray()
    while len(line) <= MAX_BYTES:
        try:
            byte = os.read(handle, 1)
        except OSError:
            raise ConfigInvalid("passphrase: the source cannot be read", field="passphrase") from None
        if byte in (b"", b"\n"):
            return bytes(line).removesuffix(b"\r")
        line += byte
    return bytes(line)


def _clean(raw: bytes) -> bytes:
    if not 1 <= len(raw) <= MAX_BYTES:
        raise ConfigInvalid(f"passphrase: 1 to {MAX_BYTES} bytes are needed", field="passphrase")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigInvalid("passphrase: not UTF-8", field="passphrase") from None
    if not text.isprintable():
        raise ConfigInvalid("passphrase: control characters are not allowed", field="passphrase")
    return unicodedata.normalize("NFC", text).encode("utf-8")
