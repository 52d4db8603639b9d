"""Exit codes and the two lines of an error: `error: …` and `hint: …`. The only place that decides both.

It must never print a record's value: it prints the errors' own sentences, which hold none.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final, NoReturn

import click

from exchange.words import chosen, gettext, marked, named_on, program_in_language
from exchange.words.failures import told
from exchange.words.help import translated
from exchange_schemas import errors

DONE: Final = 0
FAILED: Final = 1
REFUSED: Final = 2
UNREACHABLE: Final = 3
ALARM: Final = 4
WAITS: Final = 5
USAGE: Final = 64

HELP: Final = """\b
Exit codes:
   0  done
   1  failed: a file, passphrase, setting or local store is wrong
   2  refused by a rule (consent, purpose, field, age, source flags)
   3  the hub cannot be reached or cannot serve now; the same command may be repeated
   4  alarm: a signature, proof or digest does not verify; nothing was accepted, tell the operator
   5  a change of a key waits for a person, and says for what (`keys` only)
  64  the command line is wrong
"""

_ALARMS: Final = (
    errors.SigInvalid,
    errors.LogFork,
    errors.ManifestMismatch,
    errors.ConsentMismatch,
    errors.SubjectMismatch,
    errors.SenderMismatch,
    errors.PartMissing,
    errors.PartDigest,
    errors.DecryptFailed,
    errors.Replay,
    errors.LogError,
)
_UNREACHABLE: Final = (
    errors.HubUnreachable,
    errors.Unavailable,
    errors.AuditUnavailable,
    errors.RateLimited,
    errors.LogStale,
)
_FAILED: Final = (errors.Malformed, errors.VersionUnsupported, errors.OriginMismatch, errors.StorageFull)
_REFUSED: Final = (
    errors.ProtocolError,
    errors.AccessError,
    errors.RequestError,
    errors.HubRefused,
    errors.PhotoRefused,
    errors.NotPermitted,
)


def exit_code(error: BaseException) -> int:
    """The documented exit code of an error."""
    if isinstance(error, click.UsageError):
        return USAGE
    for classes, code in (
        (_ALARMS, ALARM),
        (_UNREACHABLE, UNREACHABLE),
        (_FAILED, FAILED),
        (_REFUSED, REFUSED),
    ):
        if isinstance(error, classes):
            return code
    return FAILED


def report(error: BaseException) -> int:
    """Print the error and its hint on standard error; give the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        # A group without a command: the person asked what there is.
        click.echo(error.format_message(), err=True)
        return USAGE
    message, hint = _words(error)
    click.echo(f"{gettext('error')}: {message}", err=True)
    if hint is not None:
        click.echo(f"{gettext('hint')}: {gettext(hint)}", err=True)
    return exit_code(error)


def run(cli: click.Group) -> NoReturn:
    """Run a program's command line in the reader's language, and end with a documented exit code."""
    with program_in_language(chosen(named_on(sys.argv[1:]), os.environ)):
        try:
            code = translated(cli).main(standalone_mode=False)
        except (errors.ExchangeError, click.ClickException, click.Abort, OSError, KeyboardInterrupt) as error:
            sys.exit(report(error))
    sys.exit(code if isinstance(code, int) else DONE)


def _words(error: BaseException) -> tuple[str, str | None]:
    if isinstance(error, errors.ExchangeError):
        return told(error), error.hint
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else "exchange-agency"
        return gettext(error.format_message()), gettext("see `{command} --help`", command=command)
    if isinstance(error, click.ClickException):
        return gettext(error.format_message()), None
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return gettext("the disk of this machine is full"), marked(
                "free some space, then run the same command again"
            )
        why = error.strerror or gettext("unknown reason")
        return gettext("the system refused: {why}", why=why), None
    return gettext("stopped"), marked("nothing half-done was kept; run the command again")
