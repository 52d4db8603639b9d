"""Open the agency for a command, and the key of a second approver where two must sign."""

from __future__ import annotations

from pathlib import Path

from exchange.agency.client import Client
from exchange.member.cli.options import Options
from exchange.member.cli.session import who
from exchange.member.session import insecure_allowed
from exchange.member.users import open_user
from exchange.words import gettext
from exchange_keys.passphrase import read_passphrase
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import NotPermitted


def open_client(options: Options) -> Client:
    """The unlocked agency. Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StoreLocked."""
    return Client.open(*who(options))


def open_second(client: Client, user: str, file: Path | None, fd: int | None) -> SigningKey:
    """The key of a second approver at the same machine. Raises: NotPermitted for a caseworker."""
    passphrase = read_passphrase(gettext("Passphrase of {user}: ", user=user), file=file, fd=fd)
    opened = open_user(client.session.home, user, passphrase, allow_insecure=insecure_allowed())
    if opened.approver is None:
        raise NotPermitted(f"{user} is a caseworker: two approvers are needed", rule="approver-needed")
    return opened.approver
