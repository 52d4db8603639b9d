"""How commands fail, and what every command offers."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from exchange.hub.admin.cli import main
from exchange.hub.admin.commands import EXIT_CODES, AdminGroup
from exchange_schemas.errors import ConfigInvalid, MissingExtra, NotPermitted, ProofInvalid


def failing(error: BaseException) -> click.Group:
    @click.group(cls=AdminGroup)
    def group() -> None:
        """A group."""

    @group.command()
    def fail() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NotPermitted("not so", hint="do this"), 1, "error: not so (NOT_PERMITTED)\nhint: do this\n"),
        (ProofInvalid("bad", rule="T4-root"), 1, "error: bad [T4-root] (PROOF_INVALID)\n"),
        (ConfigInvalid("no name"), 2, "error: no name (CONFIG_INVALID)\n"),
        (MissingExtra("no hub"), 2, "error: no hub (MISSING_EXTRA)\n"),
        (click.Abort(), 1, "error: stopped\n"),
        (click.ClickException("so"), 1, "error: so\n"),
        (click.UsageError("what?"), 2, "error: what?\nhint: group fail --help\n"),
        (FileNotFoundError(2, "No such file", "a.key"), 1, "error: a.key: No such file\n"),
        (OSError(28, "No space left on device"), 1, "error: the system: No space left on device\n"),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
)
def test_an_error_is_two_lines_and_a_code(error: BaseException, code: int, said: str) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert (result.exit_code, result.stderr, result.stdout) == (code, said, "")


def test_a_database_error_shows_no_value_of_its_statement() -> None:
    error = OperationalError("SELECT secret", {"name": "secret"}, Exception("secret"))
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == 1
    assert "secret" not in result.output
    assert result.stderr.startswith("error: the database refused")


def test_a_mistake_of_the_program_is_not_hidden() -> None:
    result = CliRunner().invoke(failing(KeyError("bug")), ["fail"])
    assert isinstance(result.exception, KeyError)


def test_a_message_cannot_steer_the_terminal() -> None:
    result = CliRunner().invoke(failing(NotPermitted("a\x1b[2Jb")), ["fail"])
    assert "\x1b" not in result.stderr


def test_an_unknown_command_or_option_says_where_help_is() -> None:
    for words in (["frob"], ["agency", "frob"], ["agency", "list", "--frob"]):
        result = CliRunner().invoke(main, words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "error: " in result.stderr
        assert "hint: exchange-hub" in result.stderr


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its path."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = [pytest.param(path, command, id="-".join(path)) for path, command in commands(main)]


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_every_command_has_help_with_examples_exit_codes_and_json(
    path: tuple[str, ...], command: click.Command
) -> None:
    said = CliRunner().invoke(main, [*path, "--help"], terminal_width=200)
    assert said.exit_code == 0
    assert EXIT_CODES in said.stdout
    assert f"exchange-hub {' '.join(path)}" in said.stdout.split("Examples:")[1]
    assert "--json" in said.stdout
    assert command.help
    # A passphrase on the command line would be seen by every user of the machine.
    for option in command.params:
        assert option.name not in ("passphrase", "password")


def test_the_program_without_words_shows_its_help() -> None:
    said = CliRunner().invoke(main, ["--help"])
    assert said.exit_code == 0
    assert EXIT_CODES in said.stdout
    version = CliRunner().invoke(main, ["--version"])
    assert version.stdout.startswith("exchange-hub, version ")
