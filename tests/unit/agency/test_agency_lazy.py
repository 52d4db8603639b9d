"""Commands that load when they are asked for: what one of them does not need is not in memory."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from exchange.agency.cli.main import COMMANDS, cli
from exchange.member.home import Home
from exchange.words import LANGUAGES, in_language
from exchange.words.help import translated
from exchange.words.lazy import LazyCommands, imported
from tests.unit.agency.agency_samples import PASSPHRASE

NOT_FOR_SENDING = (
    "exchange.agency.bundles",
    "exchange.agency.cli.audit",
    "exchange.agency.imports.source",
    "exchange.agency.subject",
    "exchange.agency.syncing",
    "PIL",
    "pycountry",
    "rich.panel",
)
LOADED = """
import sys
from exchange.agency import Client
from exchange.agency.cli.main import cli
cli.commands["send"]
print(*sys.modules)
"""

ALONE = f"""
import sys
from pathlib import Path
from exchange.agency import Client
from exchange.agency.cli.main import cli
cli.commands["record"]
with Client.open(Path(sys.argv[1]), "amal", {PASSPHRASE!r}) as client:
    print(len(list(client.records.each())), "records")
print(*sys.modules)
"""


def test_sending_loads_neither_other_commands_nor_what_only_they_need() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "exchange.agency.cli.send" in loaded
    assert loaded.isdisjoint(NOT_FOR_SENDING)


def test_what_asks_no_hub_loads_no_http_library(home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(home.path)], capture_output=True, text=True, check=True
    )
    none, loaded = done.stdout.splitlines()
    assert none == "0 records"
    assert "exchange.net.wire" in loaded.split()
    assert {"exchange.net.connection", "requests", "urllib3"}.isdisjoint(loaded.split())


def test_every_command_is_where_the_program_looks_for_it() -> None:
    assert list(cli.commands) == list(COMMANDS)
    for name, command in cli.commands.items():
        assert command.name == name


def test_help_in_another_language_still_loads_one_command_alone() -> None:
    made: list[str] = []

    def make(name: str) -> click.Command:
        made.append(name)
        return click.Command(name, help="List what waits.")

    group = click.Group("program")
    group.commands = LazyCommands({name: lambda name=name: make(name) for name in ("one", "two")})
    with in_language(LANGUAGES["fr"]):
        below = translated(group)
        assert isinstance(below, click.Group)
        assert (list(below.commands), "two" in below.commands, made) == (["one", "two"], True, [])
        assert below.commands["two"] is below.commands["two"]
    assert made == ["two"]


def test_commands_are_added_and_taken_away_as_in_any_group() -> None:
    group = click.Group("program")
    group.commands = imported({"send": "exchange.agency.cli.send:send"})
    group.add_command(click.Command("more"))
    assert len(group.commands) == 2
    del group.commands["send"]
    assert list(group.commands) == ["more"]
    assert group.get_command(click.Context(group), "send") is None


def test_a_place_that_holds_no_command_is_named() -> None:
    with pytest.raises(TypeError, match="send:open_client is no command"):
        imported({"x": "exchange.agency.cli.send:open_client"})["x"]
