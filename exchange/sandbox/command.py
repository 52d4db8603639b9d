"""`exchange-hub sandbox`: one command that starts a hub with invented agencies and data to develop against.

It never takes a setting of a real hub, listens on this machine only, and says in its origin what it is.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exchange.hub.admin.commands import examples, json_option
from exchange.hub.admin.output import Output
from exchange.hub.admin.serve import refuse_taken
from exchange_schemas.errors import ConfigInvalid

if TYPE_CHECKING:
    from exchange.sandbox.build import Sandbox

_PORT = 8000
_HOST = "127.0.0.1"
# What an agency's own program reads, the language, and the test cost of passphrases.
_NOT_THE_HUBS = frozenset({"HOMEWARD_HOME", "HOMEWARD_USER", "HOMEWARD_LANG", "HOMEWARD_INSECURE_KDF"})


@click.command(
    epilog=examples("exchange-hub sandbox", "exchange-hub sandbox --dir ./var --port 8080"),
    short_help="Start a hub with invented agencies and data to develop against.",
)
@json_option
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to make it, or where it was made. Default: a temporary folder, removed at the end.",
)
@click.option("--port", type=click.IntRange(1, 65535), help=f"The port of {_HOST}. Default: {_PORT}.")
def sandbox(out: Output, *, folder: Path | None, port: int | None) -> None:
    """Make a sandbox, or start it again, and serve it until SIGTERM or SIGINT.

    An operator, an embassy, a commission, two NGOs and an auditor, all invented, with their folders and
    passphrases; messages wait in their mailboxes. Never put data of real people in it: its keys lie in the
    open.
    """
    _refuse_settings()
    signal.signal(signal.SIGTERM, _end)
    with _folder(folder) as place:
        _serve(out, place, port)


def _serve(out: Output, folder: Path, port: int | None) -> None:
    # The agency program is not small, and the hub's other commands need nothing of it.
    from exchange.sandbox.build import ORIGIN, Sandbox, build
    from exchange.sandbox.hub import LocalHub
    from exchange.sandbox.programs import INSECURE_KDF, CommandFailed

    found = Sandbox.read(folder)
    if found is not None and port not in (None, found.port):
        raise ConfigInvalid(
            f"this sandbox was made for port {found.port}", hint="leave out --port", field="port"
        )
    wanted = _PORT if port is None else port
    refuse_taken(_HOST, wanted if found is None else found.port)
    hub = LocalHub(folder, origin=ORIGIN, port=wanted) if found is None else found.hub(folder)
    try:
        if found is None:
            found = build(hub, insecure=os.environ.get(INSECURE_KDF) == "1", say=out.note)
        else:
            hub.start()
        _show(out, found)
        hub.wait()
    except CommandFailed as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        out.note("stopped")
    finally:
        hub.stop()


def _show(out: Output, found: Sandbox) -> None:
    from exchange.sandbox.programs import secret_in

    agencies = [asdict(one) | {"passphrase": secret_in(Path(one.passphrase_file))} for one in found.agencies]
    if out.as_json:
        out.line("", asdict(found) | {"agencies": agencies})
        return
    out.rows("Invented agencies", agencies, columns=("id", "kind", "user", "passphrase", "home"))
    first = found.agencies[0]
    out.line(
        "sandbox: {origin} on {base_url}, for invented data only",
        {},
        origin=found.origin,
        base_url=found.base_url,
    )
    out.line("reference: {url}", {}, url=f"{found.base_url}/reference")
    out.line("operator {name}: {file}", {}, name=found.operator, file=found.operator_key_file)
    own = f"{Path(first.auth_key_file).parent}/<agency>.auth.pem"
    out.line("auth keys for a program of your own: {files}", {}, files=own)
    tried = f"exchange-agency inbox --home {first.home} --user {first.user}"
    out.line("try: {command}", {}, command=f"{tried} --passphrase-file {first.passphrase_file}")
    out.line("Ctrl-C ends it", {})


def _refuse_settings() -> None:
    """A sandbox is made from nothing: whoever has settings of a hub set means another hub.

    Raises: ConfigInvalid, naming the first one.
    """
    for name in sorted(os.environ):
        if name.startswith("HOMEWARD_") and name not in _NOT_THE_HUBS:
            raise ConfigInvalid(
                f"{name} is set, and a sandbox takes no settings", hint=f"unset {name}", field=name
            )


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    if named is not None:
        yield named.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="homeward-sandbox-") as made:
        yield Path(made)


def _end(_signal: int, _frame: object) -> None:
    sys.exit(0)
