"""`witness`: make a witness, tell it which logs it knows, and let it cosign over HTTP."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from exchange.auditor.witness.server import WitnessServer
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessStore
from exchange.log.checkpoint import Checkpoint
from exchange.log.note import split_note
from exchange.member.cli.options import Options, common_options, insecure_option
from exchange.member.cli.output import print_json, print_json_line, say
from exchange.member.cli.session import new_passphrase, warn_insecure
from exchange.member.deployment import MAX_BYTES, Deployment
from exchange.member.files import read_bounded
from exchange.words import gettext
from exchange_keys.passphrase import read_passphrase
from exchange_schemas.errors import ConfigInvalid

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))


@click.group()
def witness() -> None:
    """Cosign the checkpoints of logs, so that nobody can be shown another history than you were.

    A witness needs no account at the hub. Run it on a machine that the hub's operator does not govern, behind
    a TLS proxy, and give its key (`witness show`) to everybody who writes a policy.
    """


@witness.command("init")
@common_options
@_FOLDER
@click.option(
    "--name", required=True, help="The witness's name, such as witness.example/w1; never reuse one."
)
@click.option("--log", "logs", multiple=True, metavar="VKEY", help="A log to know; may be given again.")
@click.option(
    "--deployment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Know both logs of this deployment: the file from `exchange-hub deployment export`.",
)
@insecure_option
def init(
    options: Options,
    folder: Path,
    *,
    name: str,
    logs: tuple[str, ...],
    deployment: Path | None,
    insecure_kdf: bool,
) -> None:
    """Make a witness in DIR with a new key.

    \b
    Example:
      exchange-audit witness init witness/ --name witness.example/w1 --deployment homeward.json
    """
    warn_insecure(insecure_kdf)
    known = [*logs]
    if deployment is not None:
        pins = Deployment.from_bytes(read_bounded(deployment, limit=MAX_BYTES, what="deployment file"))
        known += [pins.audit_vkey, pins.directory_vkey]
    if not known:
        raise ConfigInvalid("no log was named", field="log", hint="give --deployment FILE or --log VKEY")
    passphrase = new_passphrase(
        gettext("New passphrase of the witness: "), options.passphrase_file, options.passphrase_fd
    )
    key = WitnessStore(folder).create(name, passphrase, known, insecure=insecure_kdf)
    if options.json:
        print_json({"name": key.name, "vkey": key.vkey, "logs": known})
        return
    say(
        "{witness} lives in {folder} and knows {logs} logs.", witness=key.name, folder=folder, logs=len(known)
    )
    say("its key for policies: {key}", key=key.vkey)
    say("Never restore this folder from a backup: make a new witness with a new name instead.")


@witness.command("add-log")
@common_options
@_FOLDER
@click.argument("vkey", metavar="VKEY")
def add_log(options: Options, folder: Path, vkey: str) -> None:
    """Let the witness in DIR know one more log, or the next key of a log; restart it afterwards.

    \b
    Example:
      exchange-audit witness add-log witness/ 'hub.example/audit+0123abcd+AbCd…'
    """
    store = WitnessStore(folder)
    store.add_log(vkey)
    if options.json:
        print_json({"logs": sorted(store.logs())})
        return
    say("{folder} knows {logs}", folder=folder, logs=", ".join(sorted(store.logs())))


@witness.command("show")
@common_options
@_FOLDER
def show(options: Options, folder: Path) -> None:
    """Show the logs that the witness in DIR knows and the size it cosigned last of each.

    \b
    Example:
      exchange-audit witness show witness/
    """
    store = WitnessStore(folder)
    sizes = {origin: _size(store.latest_note(origin)) for origin in store.logs()}
    if options.json:
        print_json({"logs": [{"origin": origin, "size": size} for origin, size in sizes.items()]})
        return
    for origin, size in sizes.items():
        if size is None:
            say("{log}: nothing cosigned yet", log=origin)
        else:
            say("{log}: cosigned to entry {size}", log=origin, size=size)


@witness.command("serve")
@common_options
@_FOLDER
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; TLS is a proxy's job.")
@click.option("--port", default=7380, show_default=True, type=click.IntRange(0, 65535))
@insecure_option
def serve(options: Options, folder: Path, *, host: str, port: int, insecure_kdf: bool) -> None:
    """Serve the witness in DIR until it is told to stop (SIGTERM or Ctrl-C).

    Speaks C2SP tlog-witness: POST /add-checkpoint and GET /<origin hash>/checkpoint. Every cosignature is
    durable before it is answered. One process serves a folder.

    \b
    Example:
      exchange-audit witness serve witness/ --passphrase-file /etc/homeward/witness.pass
    """
    store = WitnessStore(folder)
    passphrase = read_passphrase(
        gettext("Passphrase of the witness: "), file=options.passphrase_file, fd=options.passphrase_fd
    )
    key = store.open_key(passphrase, insecure=insecure_kdf)
    with store.locked():
        server = WitnessServer((host, port), Witness(store, key), note=say)
        with server:
            if options.json:
                print_json_line({"name": key.name, "vkey": key.vkey, "url": server.url})
            else:
                say("{witness} listens at {url}", witness=key.name, url=server.url)
            _until_told_to_stop(server)


def _until_told_to_stop(server: WitnessServer) -> None:
    def stop(_number: int, _frame: object) -> None:
        # `shutdown` waits for the loop that this very thread runs.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.run()


def _size(note: str | None) -> int | None:
    return None if note is None else Checkpoint.from_text(split_note(note)[0]).size
