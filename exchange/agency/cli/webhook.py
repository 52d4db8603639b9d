"""`webhook`: where this agency's system hears from the hub that something waits."""

from __future__ import annotations

from collections.abc import Mapping

import click

from exchange.agency.cli.session import open_client
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say
from exchange_schemas.codec import JsonValue

_PATH = "/v1/webhook"


@click.group()
@common_options
def webhook(options: Options) -> None:
    """Be told by the hub that something waits: Standard Webhooks, which name no child and no content."""


@webhook.command("set")
@common_options
@click.argument("url")
def set_(options: Options, url: str) -> None:
    """Set the endpoint URL (https, a public address). Its secret is shown once.

    \b
    Example:
      exchange-agency webhook set https://ngo.example/homeward
    """
    with open_client(options) as client:
        _, answer = client.session.hub.put_json(_PATH, {"url": url})
    _show(options, answer)


@webhook.command("show")
@common_options
def show(options: Options) -> None:
    """Show the endpoint and how it does."""
    with open_client(options) as client:
        _show(options, client.session.hub.get(_PATH))


@webhook.command("rotate")
@common_options
def rotate(options: Options) -> None:
    """Get a new secret; for a day messages are signed under the old one too."""
    with open_client(options) as client:
        _, answer = client.session.hub.post(f"{_PATH}/secret", {}, repeatable=False)
    _show(options, answer)


@webhook.command("remove")
@common_options
def remove(options: Options) -> None:
    """Be told nothing more."""
    with open_client(options) as client:
        client.session.hub.delete(_PATH)
    say("the webhook is removed")


@webhook.command("dead")
@common_options
def dead(options: Options) -> None:
    """List messages that were given up after the last attempt."""
    with open_client(options) as client:
        items = client.session.hub.get(f"{_PATH}/dead").get("items")
    found = [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []
    if options.json:
        print_json(found)
        return
    rows = [tuple(str(one.get(name)) for name in ("id", "at", "attempts", "error")) for one in found]
    print_table("given up", ("message", "when", "attempts", "why"), rows)


@webhook.command("replay")
@common_options
@click.argument("message")
def replay(options: Options, message: str) -> None:
    """Have a message sent again that was given up."""
    with open_client(options) as client:
        client.session.hub.post(f"{_PATH}/dead/{message}/replay", {})
    say("it is sent again now")


def _show(options: Options, answer: Mapping[str, JsonValue]) -> None:
    shown = {name: value for name, value in answer.items() if name != "receipt"}
    if options.json:
        print_json(shown)
        return
    say("webhook: {url}", url=shown.get("url"))
    if "secret" in shown:
        say("secret, shown once: {secret}", secret=shown["secret"])
    if shown.get("last_error") is not None:
        say(
            "failed attempts: {count}; the last error: {error}",
            count=shown.get("attempts"),
            error=shown.get("last_error"),
        )
