"""A hub for the request bench, made and served by the operator's own commands, with its agencies admitted."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.databases import Databases
from bench.load import LoadFailed, send
from bench.members import Member, Place, admit
from bench.processes import Server, clean_environment, free_port, serving
from bench.records import FIELDS
from exchange.hub.admin.config import environment
from exchange.hub.admin.operator_key import KeySource
from exchange.hub.db import reading
from exchange.hub.services.directory_read import position
from exchange.hub.services.hub import open_hub
from exchange.hub.settings import Settings
from exchange_schemas.codec import b64u
from exchange_schemas.envelope import TreeHead
from exchange_schemas.ids import AgencyId, Digest

ORIGIN: Final = "bench.example"
LANES: Final = 8
WORKERS: Final = 2
THREADS: Final = 8
_PASSPHRASE: Final = "not a secret, only for benches"
# Only what makes a hub on this machine possible at all: plain HTTP, and key files that open at once.
_DEVELOPMENT: Final = {
    "HOMEWARD_ENVIRONMENT": "development",
    "HOMEWARD_INSECURE_HTTP": "1",
    "HOMEWARD_INSECURE_KDF": "1",
    # Counted as always, and never reached.
    "HOMEWARD_RATE_AGENCY": "1000000",
    "HOMEWARD_RATE_ADDRESS": "1000000",
}


@dataclass(frozen=True, slots=True)
class World:
    """A served hub; `senders` and `recipients` have tokens, and a consent for every pair."""

    server: Server
    place: Place
    senders: tuple[Member, ...]
    recipients: tuple[Member, ...]


@contextlib.contextmanager
def served_world(databases: Databases, more: Sequence[Member] = ()) -> Iterator[World]:
    """Make a hub, admit 16 agencies and `more`, serve, register consents; all is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as name:
        folder, port = Path(name), free_port()
        env = {**_DEVELOPMENT, **databases.hub}
        _create(folder, port, env)
        senders = tuple(Member(AgencyId(f"ngo-{n}"), "ngo") for n in range(LANES))
        recipients = tuple(Member(AgencyId(f"embassy-{n}"), "embassy") for n in range(LANES))
        place = Place(ORIGIN, port, _admit(folder, (*senders, *recipients, *more)))
        command = [*_program(), "serve", "--data-dir", f"{folder}/hub", "--port", str(port)]
        command += ["--workers", str(WORKERS), "--threads", str(THREADS)]
        with serving(command, port, folder / "hub.log", env) as server:
            world = World(server, place, senders, recipients)
            renew_tokens(world)
            lanes = [[one.consent_request(place, to) for to in recipients] for one in senders]
            send(port, lanes).expect(201)
            yield world


def renew_tokens(world: World) -> None:
    """New access tokens for everybody: they live for five minutes at most."""
    everybody = (*world.senders, *world.recipients)
    answers = send(world.place.port, [[one.token_request(world.place)] for one in everybody]).expect(200)
    for member, ((_, body),) in zip(everybody, answers.lanes, strict=True):
        member.take_token(body)


def _create(folder: Path, port: int, env: dict[str, str]) -> None:
    secret, key = folder / "passphrase", folder / "noor.key"
    secret.touch(mode=0o600)
    secret.write_text(f"{_PASSPHRASE}\n", "utf-8")
    operator = ["--passphrase-file", str(secret)]
    _command(["operator", "keygen", "noor", "--out", str(key), *operator], env)
    _command(
        [
            *("init", "--data-dir", f"{folder}/hub", "--origin", ORIGIN),
            *("--base-url", f"http://127.0.0.1:{port}", "--hub-passphrase-file", str(secret)),
            *("--operator", "noor", "--operator-key", str(key), *operator),
        ],
        env,
    )
    # The twelve fields of the bench go from NGOs to embassies under an agreement, as they would in earnest.
    agreed = folder / "agreements.toml"
    agreed.write_text(
        f'[[agreement]]\nsnd = ["ngo"]\nrcp = ["embassy"]\npur = ["trace"]\nfields = {json.dumps(FIELDS)}\n'
        'why = "what the bench sends"\n',
        "utf-8",
    )
    where = ["--data-dir", f"{folder}/hub", "--operator-key", str(key)]
    _command(["agreement", "set", str(agreed), *where, *operator], env)


def _admit(folder: Path, members: tuple[Member, ...]) -> TreeHead:
    """Admit the agencies; the directory's position afterwards."""
    hub = open_hub(Settings.from_environment(environment({}, data_dir=folder / "hub")))
    operator = KeySource(folder / "noor.key", folder / "passphrase", None).open(allow_insecure=True)
    try:
        admit(hub, operator.key, members)
        with reading(hub.engine) as conn:
            size, root = position(conn)
    finally:
        hub.engine.dispose()
    return TreeHead(size=size, root=Digest(b64u(root)))


def _command(arguments: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(
        [*_program(), *arguments],
        env=clean_environment() | env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LoadFailed(f"exchange-hub {arguments[0]} failed: {done.stderr[-1000:]}")


def _program() -> list[str]:
    return [str(Path(sys.executable).with_name("exchange-hub"))]
