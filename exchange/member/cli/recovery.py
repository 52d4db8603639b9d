"""`recovery`: an age file for an officer's safe that opens the agency's folder when nobody else can."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.member.cli.options import Options, common_options, insecure_option
from exchange.member.cli.output import print_json, say
from exchange.member.cli.session import new_passphrase, open_unlocked, warn_insecure
from exchange.member.files import read_bounded
from exchange.member.home import Home
from exchange.member.recovery import RecoveryKey, make_recovery, recover
from exchange.member.users import NewUser
from exchange.words import gettext
from exchange_keys.agefile import (
    MAX_BYTES,
    open_with_identity,
    open_with_passphrase,
    seal_to_recipients,
    seal_with_passphrase,
)
from exchange_keys.passphrase import read_passphrase
from exchange_schemas.errors import ConfigInvalid

_PATH = click.Path(dir_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
@common_options
def recovery(options: Options) -> None:
    """The recovery key: made once, kept in a safe, used when every passphrase is gone."""


@recovery.command("make")
@common_options
@click.option("--out", type=_PATH, required=True, help="The age file to write, for the safe.")
@click.option("--recipient", multiple=True, metavar="age1…", help="Seal it to this age recipient.")
@click.option("--age-passphrase-file", type=_FILE, help="Read the age file's passphrase from here.")
def make(
    options: Options, *, out: Path, recipient: tuple[str, ...], age_passphrase_file: Path | None
) -> None:
    """Make a recovery key; an older one opens only backups from before.

    \b
    Example:
      exchange-agency --home ngo recovery make --out /media/stick/recovery.age
    """
    if out.exists():
        raise ConfigInvalid(f"{out.name} is there already: choose another name", field="out")
    with open_unlocked(options) as session:
        session.require_approver()
        if recipient:
            kid = make_recovery(session, lambda plain: seal_to_recipients(plain, recipient), out)
        else:
            secret = new_passphrase(gettext("New passphrase of the age file: "), age_passphrase_file, None)
            kid = make_recovery(session, lambda plain: seal_with_passphrase(plain, secret), out)
    if options.json:
        print_json({"file": str(out), "kid": kid})
        return
    say("wrote {file}: put it into the safe, and keep no copy on any machine", file=out)
    say("try it now: `exchange-agency recovery restore` on a copy of the folder")


@recovery.command("restore")
@common_options
@click.option("--key", type=_FILE, required=True, help="The age file from the safe.")
@click.option("--identity-file", type=_FILE, help="The age identity, when it was sealed to a recipient.")
@click.option("--age-passphrase-file", type=_FILE, help="Read the age file's passphrase from here.")
@click.option("--new-passphrase-file", type=_FILE, help="Read the new user's passphrase from here.")
@insecure_option
def restore(
    options: Options,
    *,
    key: Path,
    identity_file: Path | None,
    age_passphrase_file: Path | None,
    new_passphrase_file: Path | None,
    insecure_kdf: bool,
) -> None:
    """Make the user --user in the folder with the age file alone; they are a caseworker.

    \b
    Example:
      exchange-agency --home ngo --user maria recovery restore --key recovery.age
    """
    warn_insecure(insecure_kdf)
    sealed = read_bounded(key, limit=MAX_BYTES, what=key.name)
    if identity_file is not None:
        plain = open_with_identity(sealed, _identity(identity_file))
    else:
        secret = read_passphrase(gettext("Passphrase of the age file: "), file=age_passphrase_file, fd=None)
        plain = open_with_passphrase(sealed, secret)
    name = "recovered" if options.user is None else options.user
    passphrase = new_passphrase(gettext("New passphrase of {user}: ", user=name), new_passphrase_file, None)
    recover(Home(options.folder()), RecoveryKey.from_bytes(plain), NewUser(name, passphrase, insecure_kdf))
    if options.json:
        print_json({"user": name})
        return
    say("{user} opens this folder again, as a caseworker", user=name)
    say("next: `exchange-agency user add NAME --role approver` with the root key, then `keys compromise all`")


def _identity(path: Path) -> str:
    """The secret line of an age identity file; its comments are passed over."""
    text = read_bounded(path, limit=MAX_BYTES, what=path.name).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise ConfigInvalid(f"{path.name}: exactly one identity is needed", field="identity")
    return lines[0]
