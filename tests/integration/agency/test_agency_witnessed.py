"""A hub that shows different pasts, before a real witness: it cannot have both cosigned, and members notice.

Two witness servers cosign the directory's checkpoints; both must. The hub's key signs whatever a test wants.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessStore
from exchange.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from exchange.log.cosignature import Quorum
from exchange.log.note import split_note
from exchange.log.tree import Frontier, consistency_proof, leaf_hash, node_hash
from exchange.log.witnessing import obtain_cosignature
from exchange.member.watching import watch
from exchange.net.wire import Wire
from exchange.net.witnesses import WitnessClient
from exchange_schemas.codec import b64u
from exchange_schemas.errors import CheckpointInvalid, LogFork, LogStale, ProofInvalid
from tests.integration.agency.exchange_world import PASSPHRASE, Exchange
from tests.integration.auditor.serving import running
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

NAMES = ("a.example/w", "b.example/w")
HASH = 32


@dataclass
class Tree:
    """The leaves of one past."""

    leaves: list[bytes]

    def node(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.leaves[index]
        return node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def proof(self, old: int) -> list[bytes]:
        return consistency_proof(old, len(self.leaves), self.node)

    def root(self) -> bytes:
        return Frontier.empty().extend(self.leaves).root()


@dataclass
class Witnesses:
    """Both witnesses, and the cosigned checkpoint that the hub shows."""

    exchange: Exchange
    clients: list[WitnessClient]
    quorum: Quorum
    clock: dict[str, timedelta] = field(default_factory=lambda: {"ago": timedelta(0)})
    shown: str | None = None

    def past_of(self, client: Client) -> Tree:
        """The leaves that this member has verified."""
        kept = client.session.directory._loaded().leaves
        return Tree([kept[at : at + HASH] for at in range(0, len(kept), HASH)])

    def note(self, tree: Tree) -> str:
        """A checkpoint that the hub's key really signs."""
        origin = self.exchange.hub.keys.directory_log
        name = self.exchange.deployment().directory_vkey.split("+", 1)[0]
        return sign_checkpoint(Checkpoint(name, len(tree.leaves), tree.root()), origin)

    def publish(self, tree: Tree) -> None:
        """The hub asks both witnesses, and shows what they cosigned. Raises: what a witness refuses with."""
        note = self.note(tree)
        lines = ""
        for client in self.clients:
            cosigned = obtain_cosignature(client.submit, note, tree.proof)
            lines += cosigned.removeprefix(note)
        self.shown = note + lines

    def change(self, path: str, body: bytes) -> bytes:
        """Every page shows the newest cosigned checkpoint."""
        if path != "/v1/directory/events" or self.shown is None:
            return body
        return json.dumps({**json.loads(body), "witnessed": self.shown}).encode()


@pytest.fixture
def witnesses(exchange: Exchange, tmp_path: Path) -> Iterator[Witnesses]:
    vkey = exchange.deployment().directory_vkey
    ago = {"ago": timedelta(0)}
    with ExitStack() as stack:
        clients, vkeys = [], []
        for number, name in enumerate(NAMES):
            store = WitnessStore(tmp_path / f"witness-{number}")
            store.create(name, PASSPHRASE, [vkey], insecure=True)
            key = store.open_key(PASSPHRASE, insecure=True)
            service = Witness(store, key, now=lambda: datetime.now(UTC) - ago["ago"])
            server = stack.enter_context(running(service))
            wire = Wire(sleep=lambda _seconds: None)
            stack.callback(wire.close)
            clients.append(WitnessClient(server.url + "/", wire))
            vkeys.append(key.vkey)
        made = Witnesses(exchange, clients, Quorum.of(2, vkeys), ago)
        exchange.change = made.change
        yield made


def name_them(client: Client, quorum: Quorum) -> None:
    """The member's deployment file names the witnesses."""
    session = client.session
    pins = replace(session.profile.deployment, witnesses=quorum)
    profile = replace(session.profile, deployment=pins)
    session.directory.__init__(  # type: ignore[misc]
        session.home, profile, session.hub, session.store, session.store_key
    )


def forked(tree: Tree) -> Tree:
    """Another past of the same length, with one more event."""
    return Tree([*tree.leaves[:-1], leaf_hash(b"another event"), leaf_hash(b"and one more")])


def test_what_both_witnesses_have_seen_is_fresh(
    exchange: Exchange, ngo: Client, witnesses: Witnesses
) -> None:
    tree = witnesses.past_of(ngo)
    name_them(ngo, witnesses.quorum)
    with pytest.raises(LogStale):
        ngo.sync()
    witnesses.publish(tree)
    ngo.sync()
    assert watch(ngo.session).failure is None
    # A new event: the cosigned checkpoint is behind by one, and still proves that the log is alive.
    exchange.joined("mission").close()
    ngo.sync()
    witnesses.publish(witnesses.past_of(ngo))
    ngo.sync()


def test_no_witness_cosigns_a_second_past(ngo: Client, witnesses: Witnesses) -> None:
    tree = witnesses.past_of(ngo)
    witnesses.publish(tree)
    for other in (forked(tree), Tree([*tree.leaves[:-1], leaf_hash(b"another event")])):
        with pytest.raises((LogFork, ProofInvalid)):
            witnesses.publish(other)
    with pytest.raises(LogFork):
        witnesses.publish(Tree(tree.leaves[:-1]))


def test_a_member_refuses_the_second_past_whatever_the_hub_signs(
    ngo: Client,
    witnesses: Witnesses,
    exchange: Exchange,
    command_of: Callable[[Client], CommandLine],
) -> None:
    tree = witnesses.past_of(ngo)
    name_them(ngo, witnesses.quorum)
    witnesses.publish(tree)
    ngo.sync()
    other = forked(tree)
    note = witnesses.note(other)

    def split(path: str, body: bytes) -> bytes:
        if path != "/v1/directory/events":
            return body
        answer = json.loads(witnesses.change(path, body))
        size, proof = len(other.leaves), [b64u(node) for node in other.proof(len(tree.leaves))]
        return json.dumps({**answer, "size": size, "checkpoint": note, "consistency": proof}).encode()

    exchange.change = split
    with pytest.raises(LogFork):
        ngo.sync()
    # The command for cron: exit code and JSON.
    said = command_of(ngo)("directory", "watch", "--json", ok=False)
    assert said.code == 4
    assert said.json["failure"] == "LOG_FORK"


def test_a_cosigned_checkpoint_of_the_true_past_convicts_a_forked_copy(
    exchange: Exchange, ngo: Client, witnesses: Witnesses
) -> None:
    """A member that was shown the other past from the start meets the witnesses' checkpoint and stops."""
    tree = witnesses.past_of(ngo)
    name_them(ngo, witnesses.quorum)
    witnesses.publish(tree)
    true = witnesses.shown
    assert true is not None
    cosigned_root = open_checkpoint(true, [exchange.deployment().directory_vkey]).root
    assert cosigned_root == tree.root()
    # The hub signs another tree of that size, and puts the witnesses' lines under it.
    other = Tree([*tree.leaves[:-1], leaf_hash(b"another event")])
    lines = true.removeprefix(witnesses.note(tree))
    witnesses.shown = witnesses.note(other) + lines
    assert split_note(witnesses.shown)[0] != split_note(true)[0]
    with pytest.raises((LogFork, CheckpointInvalid)):
        ngo.sync()


def test_a_hub_that_is_rolled_back_is_refused(exchange: Exchange, ngo: Client, witnesses: Witnesses) -> None:
    tree = witnesses.past_of(ngo)
    name_them(ngo, witnesses.quorum)
    witnesses.publish(tree)
    ngo.sync()
    older = Tree(tree.leaves[:-1])

    def restored(path: str, body: bytes) -> bytes:
        if path != "/v1/directory/events":
            return body
        answer = json.loads(body)
        size, note = len(older.leaves), witnesses.note(older)
        page = {"events": [], "size": size, "checkpoint": note, "consistency": []}
        return json.dumps({**answer, **page}).encode()

    exchange.change = restored
    with pytest.raises(LogFork):
        ngo.sync()
    assert watch(ngo.session).failure == "LOG_FORK"


def test_a_hub_that_hides_new_events_is_stale_after_a_day(ngo: Client, witnesses: Witnesses) -> None:
    """It can go on showing what was cosigned once: only for a day."""
    name_them(ngo, witnesses.quorum)
    witnesses.clock["ago"] = timedelta(hours=25)
    witnesses.publish(witnesses.past_of(ngo))
    with pytest.raises(LogStale):
        ngo.sync()
    assert watch(ngo.session).failure == "LOG_STALE"
    with pytest.raises(LogStale):
        ngo.session.directory.ensure_fresh()


def test_one_witness_is_no_quorum(ngo: Client, witnesses: Witnesses) -> None:
    name_them(ngo, witnesses.quorum)
    one = replace(witnesses, clients=witnesses.clients[:1])
    one.publish(witnesses.past_of(ngo))
    witnesses.shown = one.shown
    with pytest.raises(LogStale):
        ngo.sync()
