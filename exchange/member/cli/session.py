"""Open a member's folder for a command: which user, and where the passphrase comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from exchange.member import os_keyring
from exchange.member.cli.options import Options
from exchange.member.home import Home
from exchange.member.session import Session, open_session
from exchange.words import gettext, marked
from exchange_keys.passphrase import read_passphrase
from exchange_schemas.errors import ConfigInvalid

INSECURE_WARNING = marked(
    "INSECURE: the key files use a test cost for the passphrase; never use them for real children"
)


@contextmanager
def open_unlocked(options: Options) -> Iterator[Session]:
    """The unlocked member, closed afterwards.

    Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StoreLocked.
    """
    session = open_session(*who(options))
    try:
        yield session
    finally:
        session.close()


def who(options: Options) -> tuple[Path, str, bytes]:
    """(folder, user, passphrase) as the common options say. Raises: ConfigInvalid."""
    home = options.folder()
    user = chosen_user(Home(home), options.user)
    passphrase = _kept(home, user, options)
    if passphrase is None:
        passphrase = read_passphrase(
            gettext("Passphrase of {user}: ", user=user),
            file=options.passphrase_file,
            fd=options.passphrase_fd,
        )
    return home, user, passphrase


def _kept(home: Path, user: str, options: Options) -> bytes | None:
    """The passphrase in the system's keyring, where that is wanted and no other source is named."""
    named = options.passphrase_file is not None or options.passphrase_fd is not None
    if named or not os_keyring.wanted():
        return None
    return os_keyring.recall(Home(home).profile().agency, user)


def chosen_user(home: Home, named: str | None) -> str:
    """The user who works: the named one, or the only one. Raises: ConfigInvalid."""
    home.profile()
    if named is not None:
        return named
    users = home.users()
    if len(users) == 1:
        return users[0]
    raise ConfigInvalid("this agency has several users", field="user", hint="say who works with --user NAME")


def new_passphrase(prompt: str, file: Path | None, fd: int | None) -> bytes:
    """A passphrase to be set, asked for twice on a terminal."""
    return read_passphrase(prompt, file=file, fd=fd, confirm=True, again=gettext("Repeat it: "))


def warn_insecure(insecure: bool) -> None:
    """Say on standard error that the key files are for tests only."""
    if insecure:
        click.secho(gettext(INSECURE_WARNING), err=True, fg="red")
