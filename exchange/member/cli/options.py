"""The options that every command takes: where the agency lives, who works, where the passphrase comes from.

They may stand before or after the command's name; the later one counts, and what was typed counts before the
environment. A passphrase is never an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from exchange.words import LANGUAGES
from exchange_schemas.errors import ConfigInvalid

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Options:
    """What the common options say; None where nothing was said."""

    home: Path | None = None
    user: str | None = None
    passphrase_file: Path | None = None
    passphrase_fd: int | None = None
    json: bool = False

    def merge(self, later: Options) -> Options:
        """`later` wins where it says something."""
        return Options(
            home=self.home if later.home is None else later.home,
            user=self.user if later.user is None else later.user,
            passphrase_file=self.passphrase_file if later.passphrase_file is None else later.passphrase_file,
            passphrase_fd=self.passphrase_fd if later.passphrase_fd is None else later.passphrase_fd,
            json=self.json or later.json,
        )

    def folder(self) -> Path:
        """The agency's folder. Raises: ConfigInvalid when none was named."""
        if self.home is None:
            raise ConfigInvalid("no agency folder was named", hint="give --home DIR or set HOMEWARD_HOME")
        return self.home


_PATH = click.Path(path_type=Path)
insecure_option = click.option(
    "--insecure-kdf", is_flag=True, envvar="HOMEWARD_INSECURE_KDF", help="INSECURE: for tests only."
)
"""Gives a command that makes key files the choice of a test's cost for their passphrases."""
_COMMON = ("home", "user", "passphrase_file", "passphrase_fd")


def common_options(command: F) -> F:
    """Give a command the common options; it gets them merged as its first argument, `options`."""

    @click.option("--home", type=_PATH, envvar="HOMEWARD_HOME", help="The agency's folder (HOMEWARD_HOME).")
    @click.option(
        "--user", envvar="HOMEWARD_USER", help="Who works (HOMEWARD_USER; the only user if there is one)."
    )
    @click.option("--passphrase-file", type=_PATH, help="Read the user's passphrase from this file.")
    @click.option("--passphrase-fd", type=int, help="Read the user's passphrase from this file descriptor.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @click.option("--lang", type=click.Choice(tuple(LANGUAGES)), help="The language (HOMEWARD_LANG).")
    @click.pass_context
    @wraps(command)
    def run(ctx: click.Context, /, **given: Any) -> Any:
        del given["lang"]  # exits.py has read it: help and errors are in that language too
        common = {name: _said(ctx, name, given.pop(name)) for name in _COMMON}
        said = Options(**common, json=given.pop("as_json"))
        ctx.obj = ctx.obj.merge(said) if isinstance(ctx.obj, Options) else said
        return command(ctx.obj, **given)

    return run  # type: ignore[return-value]  # wraps keeps the parameters click has collected


def _said(ctx: click.Context, name: str, value: Any) -> Any:
    """The value, but not the environment's where a command before this one was told another on its line."""
    from_environment = ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT
    told_before = isinstance(ctx.obj, Options) and getattr(ctx.obj, name) is not None
    return None if from_environment and told_before else value


def root_options(command: F) -> F:
    """Where the root's passphrase comes from, for the few commands that use the root."""
    file = click.option(
        "--root-passphrase-file", type=_PATH, help="Read the root's passphrase from this file."
    )
    handle = click.option(
        "--root-passphrase-fd", type=int, help="Read the root's passphrase from this descriptor."
    )
    return file(handle(command))
