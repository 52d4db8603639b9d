"""The bundle commands, killed (SIGKILL) before writes of every sort: repeating loses and doubles nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from exchange.agency import Client, sent_rows
from exchange.agency.outbox import receipt_of
from exchange.hub.models.envelopes import grant
from exchange.hub.models.log import log_entry
from exchange_schemas.entry import Act, Entry
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    USER,
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.integration.agency.trips import Trip, notice, offer, unplugged
from tests.soak import rounds
from tests.unit.agency.cli_runner import secret_file

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.soak]

# The agency's program, which kills itself just before its n-th write: a statement that changes the store, a
# file opened for writing, renamed or removed, a connection to the hub. n is its first argument.
KILLED = """
import os, signal, sqlite3, sys
left = int(sys.argv.pop(1))
WRITES = ("BEGIN", "INSERT", "REPLACE", "UPDATE", "DELETE", "COMMIT")
MOVES = ("os.rename", "os.link", "os.remove", "socket.connect")
def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def statement(text):
    if text.lstrip().upper().startswith(WRITES):
        step()
def watch(name, args):
    if name in MOVES or (name == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT):
        step()
connect = sqlite3.connect
def traced(*args, **more):
    made = connect(*args, **more)
    made.set_trace_callback(statement)
    return made
sqlite3.connect = traced
sys.addaudithook(watch)
from exchange.agency.cli.main import main
main()
"""
STRIDE = 61
"""A kill before every 61st write, from another one on in each command; before every write in `make soak`."""
NEVER = 0


class Program:
    """Runs the agency program of one home, and counts how often it was killed."""

    def __init__(self, home: Path, secret: Path, *, offline: bool) -> None:
        self.account = ("--home", str(home), "--user", USER, "--passphrase-file", str(secret))
        self.offline = offline
        self.killed = 0

    def run(self, at: int, *words: str) -> int:
        """Run with a kill before the write `at`; the exit code."""
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(at), *self.account, *words],
            env={**os.environ, **({"HOMEWARD_OFFLINE": "1"} if self.offline else {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        self.killed += done.returncode != 0
        return done.returncode

    def until_done(self, first: int, *words: str) -> None:
        """The same command again and again, killed a little later each time, until it ends by itself."""
        at = first
        while self.run(at, *words) != 0:
            at += max(1, STRIDE // rounds(1))

    def written(self, first: int, stick: Path, *words: str) -> None:
        """The same for a command that writes a stick: a file that is there is whole, and not made again."""
        at = first
        while not stick.exists() and self.run(at, *words, str(stick)) != 0:
            at += max(1, STRIDE // rounds(1))


def entries(exchange: Exchange, act: Act) -> list[Entry]:
    """What the log allowed of this sort."""
    with exchange.hub.engine.connect() as conn:
        found = [Entry.from_bytes(bytes(one)) for one in conn.execute(select(log_entry.c.entry)).scalars()]
    return [one for one in found if one.act == act and one.out == "allow"]


def test_whatever_is_killed_everything_arrives_once_and_every_receipt_comes_back(
    trip: Trip, exchange: Exchange, tmp_path: Path
) -> None:
    theirs = child_with_decision(trip.embassy)
    trip.embassy.consents.grant(theirs, to="office", terms=found_terms())
    trip.embassy.send("found_notice", to=["office"], record=theirs)
    ref, _ = offer(trip.office)
    notice(trip.office, ref)
    notice(trip.office, ref)
    secret = secret_file(tmp_path / "pass", PASSPHRASE)
    home = trip.office.session.home.path
    office = Program(home, secret, offline=True)
    courier = Program(trip.courier.session.home.path, secret, offline=False)

    out, back = trip.path(), trip.path()
    office.written(3, out, "bundle", "export", "--to", "courier")
    courier.until_done(1, "bundle", "import", str(out))
    opened = [trip.embassy.open_grant(item.gid) for item in list(trip.embassy.inbox())]
    assert [message.seq for message in opened] == [1, 2]
    courier.written(5, back, "bundle", "export", "--for", "office")
    office.until_done(2, "bundle", "import", str(back))

    with unplugged(home) as fresh:
        assert fresh.spooled() == []
        assert len(fresh.session.store.found("sent", "record", ref)) == 2
        assert Counter(outcomes(fresh)) == {"opened": 2}
        (item,) = fresh.inbox(waiting_only=True)
        fresh.open_grant(item.gid)
        assert stray(fresh) == []
    assert len(deposits(exchange)) == 2
    # Every deposit that the log allowed is of these two, under the one consent. The entry of a repetition
    # names none: the first answer is given again before a consent is looked at.
    carried = [one for one in entries(exchange, Act.ENVELOPE_DEPOSIT) if "office" in one.own]
    ours = [one for one in carried if one.org == "courier"]
    assert (len({one.rec for one in ours}), len({one.cns for one in ours} - {None})) == (2, 1)

    # The office's own receipt goes with the next stick.
    again, last = trip.path(), trip.path()
    office.written(NEVER, again, "bundle", "export", "--to", "courier")
    courier.until_done(NEVER, "bundle", "import", str(again))
    courier.written(NEVER, last, "bundle", "export", "--for", "office")
    office.until_done(NEVER, "bundle", "import", str(last))
    assert [one.outcome for one in trip.embassy.outbox()] == ["opened"]
    with unplugged(home) as fresh:
        assert list(fresh.inbox(waiting_only=True)) == []
        assert stray(fresh) == []
    assert len(deposits(exchange)) == 2
    assert stray(trip.courier) == []
    assert min(office.killed, courier.killed) > 1


def outcomes(client: Client) -> list[str | None]:
    """What became of what this office sent, from what the sticks brought."""
    found = [receipt_of(client.session, row.gid) for row in sent_rows.each(client.session.store)]
    return [None if one is None else one.outcome for one in found]


def deposits(exchange: Exchange) -> set[str]:
    """The envelopes of the office that the hub holds."""
    with exchange.hub.engine.connect() as conn:
        return set(conn.execute(select(grant.c.eid).where(grant.c.snd == "office")).scalars())


def stray(client: Client) -> list[str]:
    """Files of bundles that nobody needs any more."""
    spool = client.session.home.spool
    kept = set() if client.session.carried is None else set(client.session.carried.ids())
    return [
        path.name
        for path in [*spool.glob("*.frame"), *spool.glob("*.carried")]
        if path.name.removesuffix(".carried") not in kept
    ]
