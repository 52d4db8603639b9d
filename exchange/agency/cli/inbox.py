"""`inbox` lists what waits at the hub; `open` verifies, opens, keeps and shows one message."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.agency.cli.cards import message_json, print_message
from exchange.agency.cli.session import open_client
from exchange.agency.photo import thumbnail
from exchange.agency.wording import state_words
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import alarm, print_json, print_table, say
from exchange.member.files import write_private

_PATH = click.Path(path_type=Path)


@click.command()
@common_options
@click.option("--all", "everything", is_flag=True, help="Also what was opened already and what is dead.")
def inbox(options: Options, everything: bool) -> None:
    """List what waits at the hub for this agency: routing only, nothing is opened."""
    with open_client(options) as client:
        items = list(client.inbox(waiting_only=not everything))
    if options.json:
        print_json(items)
        return
    rows = [
        (
            one.gid,
            one.sender,
            one.kind,
            one.purpose,
            f"{one.issued:%Y-%m-%d}",
            f"{one.expires:%Y-%m-%d}",
            state_words(one.state),
        )
        for one in items
    ]
    print_table("inbox", ("grant", "from", "kind", "for", "sent", "until", "state"), rows)


@click.command("open", cls=IdCommand)
@common_options
@click.argument("gid")
@click.option("--kept", is_flag=True, help="Show the copy that was opened before; asks nobody.")
@click.option("--save-photo", type=_PATH, help="Write the photo to this file.")
@click.option("--save-thumbnail", type=_PATH, help="Write a small copy of the photo to this file.")
def open_(
    options: Options, *, gid: str, kept: bool, save_photo: Path | None, save_thumbnail: Path | None
) -> None:
    """Fetch, verify and open the message GID, and show it as a card.

    Everything is checked first: the sender's keys, its signature, the consent, every digest, every field.
    A signed receipt goes back to the sender.

    \b
    Example:
      exchange-agency open 9sJxD0xZ3kQe7mPq2LwT4A --save-photo child.jpg
    """
    with open_client(options) as client:
        message = client.kept(gid) if kept else client.open_grant(gid)
        for text in message.alarms:
            alarm(text)
        photo = client.photo(gid)
        if save_photo is not None and photo is not None:
            photo.save(save_photo)
        if save_thumbnail is not None and photo is not None:
            write_private(save_thumbnail, thumbnail(photo.pieces()).jpeg)
    if options.json:
        print_json(message_json(message))
        return
    print_message(message)
    if save_photo is not None:
        if message.photo is not None:
            say("photo: {file}", file=save_photo)
        else:
            say("this message has no photo")
