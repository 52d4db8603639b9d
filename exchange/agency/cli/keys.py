"""`keys`: this agency's own keys, how old they are, and changing them in calm or at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from exchange.agency.cli.session import open_client
from exchange.agency.client import Client
from exchange.agency.key_rotation import Changed, KeyRow, RootSource
from exchange.agency.wording import state_words
from exchange.directory.state import APPROVER, AUTH, ENC, ENVELOPE, ROOT
from exchange.member.cli.exits import WAITS
from exchange.member.cli.options import Options, common_options, root_options
from exchange.member.cli.output import alarm, confirm, print_json, print_table, say, say_count
from exchange.member.cli.progress import steps_bar
from exchange.member.cli.session import who
from exchange.member.rotation import COMPROMISED, ROTATED, USES
from exchange.member.session import insecure_allowed
from exchange.words import gettext
from exchange_keys.passphrase import read_passphrase
from exchange_schemas.codec import format_time
from exchange_schemas.errors import Malformed

_PATH = click.Path(dir_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WORKING = (AUTH, ENVELOPE, ENC)

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
@common_options
def keys(options: Options) -> None:
    """This agency's own keys: list them, change one. What was cut short goes on with the same command."""


@keys.command("list")
@common_options
def list_(options: Options) -> None:
    """Show every key that is not revoked, when it is due to be changed, and what has begun.

    \b
    Example:
      exchange-agency --home ngo keys list
    """
    with open_client(options) as client:
        rows = client.keys.rows()
        now = client.session.now()
    if options.json:
        print_json([_told(row, now) for row in rows])
        return

    def cells(row: KeyRow) -> tuple[str, ...]:
        due = "" if row.due is None else format_time(row.due)[:10]
        late = f" {gettext('OVERDUE')}" if row.overdue(now) else ""
        age = "" if row.since is None else str((now - row.since).days)
        where = gettext("here") if row.here else ""
        return (
            row.use,
            state_words(row.status),
            age,
            due + late,
            state_words(row.next or ""),
            row.user or "",
            where,
            row.kid,
        )

    print_table(
        "keys of this agency",
        ("use", "status", "age", "change by", "next step", "user", "secret", "kid"),
        [cells(row) for row in rows],
    )


@keys.command("check")
@common_options
def check(options: Options) -> None:
    """Say which keys are overdue or in a change that was cut short, and the command that mends it.

    Exit code 0: none is; 1: at least one. Good for cron.

    \b
    Example:
      exchange-agency --home ngo keys check --json
    """
    with open_client(options) as client:
        now = client.session.now()
        late = [row for row in client.keys.rows() if row.mend(now) is not None]
    if options.json:
        print_json([_told(row, now) for row in late])
    else:
        print_table(
            "keys that need somebody",
            ("use", "status", "change by", "next step", "mend it with"),
            [
                (
                    row.use,
                    state_words(row.status),
                    "" if row.due is None else format_time(row.due)[:10],
                    state_words(row.next or ""),
                    row.mend(now) or "",
                )
                for row in late
            ],
        )
    if late:
        raise click.exceptions.Exit(1)


def _told(row: KeyRow, now: datetime) -> dict[str, object]:
    age = None if row.since is None else (now - row.since).days
    return {"overdue": row.overdue(now), "age_days": age, "mend": row.mend(now), "key": row}


def _change_options(command: F) -> F:
    """What both ways of changing a key take."""

    @click.argument("use", type=click.Choice((*USES, "all")))
    @root_options
    @click.option("--root-key", type=_FILE, help="The root key file, if it is not in the folder.")
    @click.option("--new-root", type=_FILE, help="For `root`: the key file of the new root.")
    @click.option("--new-root-passphrase-file", type=_PATH, help="Read the new root's passphrase from here.")
    @click.option("--root-request", type=_PATH, help="Write what the root must sign, and stop there.")
    @click.option("--root-signed", type=_FILE, help="Go on with the file that `root sign` wrote.")
    @click.option("--give-up", is_flag=True, help="For `enc`: leave what cannot be opened to its senders.")
    @wraps(command)
    def run(options: Options, /, **given: Any) -> Any:
        return command(options, **given)

    return run  # type: ignore[return-value]  # wraps keeps the parameters click has collected


@keys.command("rotate")
@common_options
@_change_options
def rotate(options: Options, *, use: str, **given: Any) -> None:
    """Change a key so that nothing in flight is lost; repeat the command to go on after any interruption.

    enc: the new key is logged, the old one drained and emptied, then revoked and deleted. envelope, auth: the
    new key is used as soon as it is logged. approver: yours; the root signs. root: both roots sign. `all`
    changes auth, envelope and enc. Exit code 5: it waits for you, and says for what.

    \b
    Examples:
      exchange-agency --home ngo keys rotate enc
      exchange-agency --home ngo keys rotate approver --root-request ask.json
      exchange-agency --home ngo keys rotate approver --root-signed signed.json
    """
    _change(options, use, ROTATED, given)


@keys.command("compromise")
@common_options
@_change_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def compromise(options: Options, *, use: str, yes: bool, **given: Any) -> None:
    """Revoke a key at once and put a new one in its place: it was stolen, lost, or may have been.

    Nothing signed with it counts any more, and nothing sealed to it is served; senders grant again. Messages
    that were already fetched by somebody else cannot be taken back: tell those concerned.

    \b
    Example:
      exchange-agency --home ngo keys compromise all
    """
    if not yes:
        confirm("Revoke the {use} key at once, for good?", use=use)
    _change(options, use, COMPROMISED, given)


@keys.command("log-in")
@common_options
@click.argument("out", type=_PATH)
def log_in(options: Options, *, out: Path) -> None:
    """Make a new login key where the hub lets this agency in no more, and write what its root must sign.

    For an old backup, a key that is over, or a thief who revoked it. An operator logs the signed file.

    \b
    Example:
      exchange-agency --home ngo keys log-in ask.json
    """
    with open_client(options) as client:
        client.keys.ask_log_in(out)
    if options.json:
        print_json({"request": str(out)})
        return
    say(
        "wrote {file}; next: `exchange-agency root sign {file} --root-key FILE --out SIGNED` where the root "
        "is; an operator logs SIGNED with `exchange-hub agency log-in`; then `keys compromise all` here",
        file=out,
    )


def _change(options: Options, use: str, reason: str, given: dict[str, Any]) -> None:
    with open_client(options) as client:
        done = [_one(options, client, one, reason, given) for one in (_WORKING if use == "all" else (use,))]
    if options.json:
        print_json(done if use == "all" else done[0])
    else:
        for one in done:
            _tell(one, given)
    if not all(one.finished for one in done):
        raise click.exceptions.Exit(WAITS)


def _one(options: Options, client: Client, use: str, reason: str, given: dict[str, Any]) -> Changed:
    if use in (APPROVER, ROOT):
        source = _source(use, given)
        if use == ROOT:
            return client.keys.change_root(source, reason=reason)
        _, _, passphrase = who(options)
        return client.keys.change_approver(passphrase, source, reason=reason, insecure=insecure_allowed())
    if any(given[name] is not None for name in ("root_key", "new_root", "root_request", "root_signed")):
        raise Malformed(f"{use}: an approver signs this, not the root", field="root-key")
    with steps_bar("opening what waits for the old key") as show:
        return client.keys.change(use, reason=reason, give_up=given["give_up"], on_step=show)


def _source(use: str, given: dict[str, Any]) -> RootSource:
    travels = given["root_request"] is not None or given["root_signed"] is not None
    passphrase = new_passphrase = None
    if not travels:
        passphrase = read_passphrase(
            gettext("Passphrase of the root key: "),
            file=given["root_passphrase_file"],
            fd=given["root_passphrase_fd"],
        )
        if use == ROOT:
            new_passphrase = read_passphrase(
                gettext("Passphrase of the new root key: "), file=given["new_root_passphrase_file"], fd=None
            )
    return RootSource(
        key=given["root_key"],
        passphrase=passphrase,
        new_key=given["new_root"],
        new_passphrase=new_passphrase,
        request=given["root_request"],
        signed=given["root_signed"],
    )


def _tell(done: Changed, given: dict[str, Any]) -> None:
    for text in done.notes:
        alarm(text)
    if done.emptied is not None:
        say(
            "messages that waited and are opened: {opened}; grants of our own renewed: {renewed}",
            opened=done.emptied.opened,
            renewed=done.emptied.renewed,
        )
        for one in done.emptied.left:
            say(
                "  cannot be opened: {gid} from {agency} ({code})",
                gid=one.gid,
                agency=one.sender,
                code=one.code,
            )
        for text in done.emptied.failed:
            say(f"  {text}")
    if done.granted_again:
        say_count(
            "granted {count} message again that nobody had opened",
            "granted {count} messages again that nobody had opened",
            done.granted_again,
        )
    if done.finished:
        say("the {use} key is changed; the new one is {kid}", use=done.use, kid=done.kid)
        if done.use == ROOT:
            say("Next: destroy every copy of the old root's key file, and keep two of the new one.")
    elif done.waits == "root":
        say(
            "wrote {file}; next: `exchange-agency root sign {file} --root-key FILE --out SIGNED` where the "
            "root is, then this command again with --root-signed SIGNED",
            file=given["root_request"],
        )
    else:
        say(
            "the old key still has messages that cannot be opened: open them, ask their senders, or repeat "
            "the command with --give-up; their senders then grant them again"
        )
