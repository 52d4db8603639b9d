"""`user`: who may work with this agency's keys, and who may decide (approvers)."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.agency.cli.session import open_client
from exchange.agency.wording import code_words
from exchange.member import os_keyring
from exchange.member.cli.options import Options, common_options, insecure_option, root_options
from exchange.member.cli.output import print_json, print_table, say
from exchange.member.cli.session import chosen_user, new_passphrase, warn_insecure, who
from exchange.member.home import Home
from exchange.member.new_users import add_approver, add_caseworker
from exchange.member.session import insecure_allowed
from exchange.member.users import NewUser, list_users, open_user
from exchange.words import gettext, marked, pgettext
from exchange_keys.passphrase import read_passphrase

_PATH = click.Path(path_type=Path)


@click.group()
@common_options
def user(options: Options) -> None:
    """Several named users over one agency's keys."""


@user.command("add")
@common_options
@root_options
@click.argument("name")
@click.option(
    "--role", type=click.Choice(("caseworker", "approver")), default="caseworker", show_default=True
)
@click.option("--new-passphrase-file", type=_PATH, help="Read the new user's passphrase from this file.")
@click.option("--new-passphrase-fd", type=int, help="Read the new user's passphrase from this descriptor.")
@click.option("--root-key", type=_PATH, help="The root key file, if it is not in the folder.")
@insecure_option
def add(
    options: Options,
    *,
    root_passphrase_file: Path | None,
    root_passphrase_fd: int | None,
    name: str,
    role: str,
    new_passphrase_file: Path | None,
    new_passphrase_fd: int | None,
    root_key: Path | None,
    insecure_kdf: bool,
) -> None:
    """Add the user NAME. An approver's key is logged in the key directory, so the hub must be reachable.

    \b
    Example:
      exchange-agency --home ngo --user amal user add noor --role caseworker
    """
    warn_insecure(insecure_kdf)
    with open_client(options) as client:
        secret = new_passphrase(
            gettext("New passphrase of {user}: ", user=name), new_passphrase_file, new_passphrase_fd
        )
        new = NewUser(name, secret, insecure_kdf)
        if role == "caseworker":
            add_caseworker(client.session, new)
        else:
            root = read_passphrase(
                gettext("Passphrase of the root key: "), file=root_passphrase_file, fd=root_passphrase_fd
            )
            add_approver(client.session, new, root_file=root_key, root_passphrase=root)
    if options.json:
        print_json({"user": name, "role": role})
        return
    say("{user} is now a user of this agency ({role}).", user=name, role=pgettext("code", role))


@user.command("remember")
@common_options
def remember(options: Options) -> None:
    """Keep this user's passphrase in the system's keyring; used where HOMEWARD_KEYRING=1 is set.

    \b
    Example:
      exchange-agency --home ngo --user amal user remember
    """
    home, name, passphrase = who(options)
    open_user(Home(home), name, passphrase, allow_insecure=insecure_allowed())
    os_keyring.remember(Home(home).profile().agency, name, passphrase)
    say(
        "the passphrase of {user} is in the system's keyring; set {variable}=1 to use it",
        user=name,
        variable=os_keyring.VARIABLE,
    )


@user.command("forget")
@common_options
def forget(options: Options) -> None:
    """Take this user's passphrase out of the system's keyring."""
    home = Home(options.folder())
    name = chosen_user(home, options.user)
    found = os_keyring.forget(home.profile().agency, name)
    said = (
        marked("the passphrase of {user} is no longer in the system's keyring")
        if found
        else marked("the passphrase of {user} is not in the system's keyring")
    )
    say(said, user=name)


@user.command("list")
@common_options
def list_(options: Options) -> None:
    """List the users of this agency; needs no passphrase."""
    rows = list_users(Home(options.folder()))
    if options.json:
        print_json([{"user": name, "role": role} for name, role in rows])
        return
    print_table("users", ("user", "role"), [(name, code_words(role)) for name, role in rows])
