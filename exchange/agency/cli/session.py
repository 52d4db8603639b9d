"""Open the agency for a command: which user, which passphrase, and a clear word when neither is known."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.agency.cli.options import Options
from exchange.agency.client import Client
from exchange.agency.member.home import Home
from exchange.agency.member.session import insecure_allowed
from exchange.agency.member.users import open_user
from exchange_keys.passphrase import read_passphrase
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ConfigInvalid, NotPermitted

INSECURE_WARNING = (
    "INSECURE: the key files use a test cost for the passphrase; never use them for real children"
)


def open_client(options: Options) -> Client:
    """The unlocked agency. Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StoreLocked."""
    home = options.folder()
    user = chosen_user(Home(home), options.user)
    passphrase = read_passphrase(
        f"Passphrase of {user}: ", file=options.passphrase_file, fd=options.passphrase_fd
    )
    return Client.open(home, user, passphrase)


def open_second(client: Client, user: str, file: Path | None, fd: int | None) -> SigningKey:
    """The key of a second approver at the same machine. Raises: NotPermitted for a caseworker."""
    passphrase = read_passphrase(f"Passphrase of {user}: ", file=file, fd=fd)
    opened = open_user(client.session.home, user, passphrase, allow_insecure=insecure_allowed())
    if opened.approver is None:
        raise NotPermitted(f"{user} is a caseworker: two approvers are needed", rule="approver-needed")
    return opened.approver


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
    return read_passphrase(prompt, file=file, fd=fd, confirm=True)


def warn_insecure(insecure: bool) -> None:
    """Say on standard error that the key files are for tests only."""
    if insecure:
        click.secho(INSECURE_WARNING, err=True, fg="red")
