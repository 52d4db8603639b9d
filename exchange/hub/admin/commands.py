"""What every admin command shares: how it is declared, how it fails, and its exit codes.

Bad input must end in `error: …` and `hint: …`, never in a traceback, and no secret may be in either.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from exchange.hub.admin.config import environment, with_defaults
from exchange.hub.admin.output import Output, visible
from exchange.hub.settings import Settings
from exchange.words import LANGUAGES, chosen, gettext, marked, named_on, program_in_language
from exchange.words.failures import told
from exchange.words.help import translated
from exchange_schemas.errors import ConfigInvalid, ExchangeError, MissingExtra

OK, REFUSED, MISUSED = 0, 1, 2
EXIT_CODES = "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or settings."

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """Which hub a command means, and how it speaks; made from the options every command has."""

    data_dir: Path | None
    config: Path | None
    out: Output

    def environment(self) -> dict[str, str]:
        """The HOMEWARD_* settings that apply. Raises: ConfigInvalid."""
        return environment(os.environ, data_dir=self.data_dir, config=self.config)

    def settings(self) -> Settings:
        """The checked settings. Raises: ConfigInvalid."""
        try:
            return Settings.from_environment(with_defaults(self.environment()))
        except ConfigInvalid as error:
            if error.hint is None:
                error.hint = "give --data-dir DIR, or --config FILE, or set HOMEWARD_DATA_DIR"
            raise


class AdminGroup(click.Group):
    """A group whose commands fail with `error:` and `hint:` and the documented exit codes."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run; in standalone mode in the reader's language, ending the process with its exit code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        line = sys.argv[1:] if args is None else list(args)
        with program_in_language(chosen(named_on(line), os.environ)):
            try:
                code = translated(self).main(line, prog_name, complete_var, standalone_mode=False, **extra)
            except (click.ClickException, click.Abort, ExchangeError, SQLAlchemyError, OSError) as error:
                code = report(error)
        sys.exit(code if isinstance(code, int) else OK)


def report(error: Exception) -> int:
    """Say what went wrong on stderr; the exit code for it."""
    message, hint, code = _explain(error)
    if message is not None:
        click.echo(f"{gettext('error')}: {visible(message)}", err=True)
    if hint is not None:
        click.echo(f"{gettext('hint')}: {visible(gettext(hint))}", err=True)
    return code


def _explain(error: Exception) -> tuple[str | None, str | None, int]:
    if isinstance(error, click.UsageError):
        path = "exchange-hub" if error.ctx is None else error.ctx.command_path
        return gettext(error.format_message()), f"{path} --help", MISUSED
    if isinstance(error, click.ClickException):
        return gettext(error.format_message()), None, REFUSED
    if isinstance(error, click.Abort):
        return gettext("stopped"), None, REFUSED
    if isinstance(error, ExchangeError):
        code = MISUSED if isinstance(error, ConfigInvalid | MissingExtra) else REFUSED
        return told(error), error.hint, code
    if isinstance(error, SQLAlchemyError):
        # Its own text may quote a statement's values.
        said = gettext("the database refused ({kind})", kind=type(error).__name__)
        return said, marked("look at `exchange-hub check`, and at the database's own log"), REFUSED
    if isinstance(error, BrokenPipeError):
        return None, None, REFUSED
    if isinstance(error, OSError):
        return f"{error.filename or gettext('the system')}: {error.strerror}", None, REFUSED
    raise error


def examples(*lines: str) -> str:
    """The epilog of a command's --help: examples as typed, then the exit codes."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExamples:\n{shown}\n\n{EXIT_CODES}"


def hub_command(command: F) -> Any:
    """Give a command --data-dir, --config, --json, --lang, and hand it a `Target` as its first argument."""

    @functools.wraps(command)
    def run(*args: Any, data_dir: Path | None, config: Path | None, as_json: bool, **options: Any) -> Any:
        return command(Target(data_dir, config, Output(as_json)), *args, **options)

    for option in reversed(_HUB_OPTIONS):
        run = option(run)
    return language_option(run)


def json_option(command: F) -> Any:
    """Give a command that needs no hub --json and --lang, and hand it an `Output` as its first argument."""

    @functools.wraps(command)
    def run(*args: Any, as_json: bool, **options: Any) -> Any:
        return command(Output(as_json), *args, **options)

    return language_option(_JSON(run))


def language_option(command: F) -> F:
    """Give a command or group --lang: `AdminGroup` has read it by then, for help and errors too."""
    return click.option(
        "--lang",
        type=click.Choice(tuple(LANGUAGES)),
        expose_value=False,
        help="The language (HOMEWARD_LANG).",
    )(command)


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
_HUB_OPTIONS = (
    click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="The hub's folder; its hub.env is read. Default: HOMEWARD_DATA_DIR.",
    ),
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file of HOMEWARD_NAME=value lines instead of DIR/hub.env.",
    ),
    _JSON,
)
