"""An agency audits the hub: its receipts lie under what witnesses cosigned; and the command that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.auditor.witness.server import WitnessServer
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessStore
from exchange.hub.db import reading
from exchange.hub.services import audit_read
from exchange.hub.services.hub import Hub
from exchange.log.checkpoint import Checkpoint, parse_vkey, sign_checkpoint
from exchange.log.policy import Policy
from exchange.log.tree import consistency_proof
from exchange.log.witnessing import obtain_cosignature
from exchange.member.deployment import Quorum
from exchange.member.witnessed import Seen, look, policy_of
from exchange.net.wire import Wire
from exchange.net.witnesses import WitnessClient
from exchange_schemas.codec import b64u
from exchange_schemas.errors import (
    LogFork,
)
from tests.integration.agency.dealings import upkeep
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    Exchange,
)
from tests.integration.auditor.serving import running
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


@pytest.fixture
def witness(exchange: Exchange) -> Iterator[WitnessServer]:
    store = WitnessStore(exchange.folder / "witness")
    key = store.create("witness.test/w1", PASSPHRASE, [exchange.deployment().audit_vkey], insecure=True)
    with running(Witness(store, key)) as server:
        yield server


def policy_for(exchange: Exchange, witness: WitnessServer, *, url: bool = True) -> Policy:
    key = WitnessStore(exchange.folder / "witness").open_key(PASSPHRASE, insecure=True).vkey
    where = witness.url if url else ""
    return Policy.from_bytes(
        f"log {exchange.deployment().audit_vkey}\nwitness w {key} {where}\nquorum w\n".encode()
    )


def publish(hub: Hub, witness: WitnessServer) -> str:
    wire = Wire(sleep=lambda _seconds: None)
    try:
        with reading(hub.engine) as conn:
            tree = audit_read.head(conn)
            note = sign_checkpoint(
                Checkpoint(hub.settings.audit_log, tree.size, tree.root()), hub.keys.audit_log
            )
            read = audit_read.node_source(conn, tree.size)
            return obtain_cosignature(
                WitnessClient(witness.url, wire).submit,
                note,
                lambda old: consistency_proof(old, tree.size, read),
            )
    finally:
        wire.close()


def looked(client: Client, policy: Policy | None, *, later: timedelta = timedelta()) -> Seen:
    session, wire = client.session, Wire(sleep=lambda _seconds: None)
    try:
        return look(
            session.receipts,
            session.hub,
            session.profile.deployment.audit_vkey,
            policy=policy,
            ask=lambda url, origin: WitnessClient(url, wire).latest(origin),
            now=session.now() + later,
        )
    finally:
        wire.close()


def test_receipts_are_found_under_what_the_witnesses_cosigned(
    exchange: Exchange, ngo: Client, witness: WitnessServer
) -> None:
    policy = policy_for(exchange, witness)
    many = len(ngo.session.receipts.open())
    assert many > 2
    unseen = looked(ngo, policy)
    assert (unseen.witnessed, unseen.settled, unseen.late) == (None, 0, ())
    publish(exchange.hub, witness)
    seen = looked(ngo, policy)
    assert seen.judged
    assert seen.witnessed is not None
    assert (seen.settled, seen.late) == (many, ())
    ngo.sync()
    again = looked(ngo, policy)
    assert (again.settled, again.open > 0) == (0, True)
    # What nobody cosigned for five minutes is an alarm.
    late = looked(ngo, policy, later=timedelta(minutes=6))
    assert len(late.late) == again.open


def test_a_receipt_of_a_time_to_come_is_late_at_once(
    exchange: Exchange, ngo: Client, witness: WitnessServer
) -> None:
    policy = policy_for(exchange, witness)
    assert looked(ngo, policy, later=timedelta(minutes=-10)).late


def test_without_a_policy_nothing_is_judged_and_a_fork_is_found_all_the_same(
    exchange: Exchange, ngo: Client
) -> None:
    seen = looked(ngo, None, later=timedelta(days=1))
    assert (seen.judged, seen.settled, seen.late) == (False, 0, ())
    assert seen.open > 0
    first = ngo.session.receipts.open()[0]
    row = ngo.session.store.get("receipt_open", first.key)
    assert row is not None
    ngo.session.store.put("receipt_open", first.key, row | {"root": b64u(bytes(32))})
    with pytest.raises(LogFork) as told:
        looked(ngo, None)
    assert told.value.rule == "forked"


def test_a_policy_that_asks_for_no_witness_settles_by_the_log_alone(exchange: Exchange, ngo: Client) -> None:
    policy = Policy.from_bytes(f"log {exchange.deployment().audit_vkey}\nquorum none\n".encode())
    seen = looked(ngo, policy)
    assert seen.settled > 0
    assert seen.open == 0


def test_a_witness_without_an_address_or_that_is_down_vouches_for_nothing(
    exchange: Exchange, ngo: Client, witness: WitnessServer
) -> None:
    publish(exchange.hub, witness)
    assert looked(ngo, policy_for(exchange, witness, url=False)).witnessed is None
    key = WitnessStore(exchange.folder / "witness").open_key(PASSPHRASE, insecure=True).vkey
    vkey = exchange.deployment().audit_vkey
    down = Policy.from_bytes(f"log {vkey}\nwitness w {key} http://127.0.0.1:9\nquorum w\n".encode())
    assert looked(ngo, down).witnessed is None
    assert looked(ngo, policy_for(exchange, witness)).witnessed is not None


def test_the_pinned_witnesses_make_a_policy(exchange: Exchange, witness: WitnessServer) -> None:
    deployment = exchange.deployment()
    key = WitnessStore(exchange.folder / "witness").open_key(PASSPHRASE, insecure=True).vkey
    named = replace(deployment, witnesses=Quorum.of(1, [key]))
    policy = policy_of(named)
    assert policy is not None
    judged = policy.judge(publish(exchange.hub, witness), exchange.hub.clock())
    assert judged.quorum.witnessed
    assert policy_of(replace(deployment, witnesses=None)) is None
    assert policy.logs[0].key == parse_vkey(deployment.audit_vkey)


# -- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def command(ngo: Client, command_of: Callable[[Client], CommandLine]) -> CommandLine:
    ngo.close()
    return command_of(ngo)


def test_the_command_tells_a_machine_and_a_person(
    exchange: Exchange,
    command: CommandLine,
    witness: WitnessServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upkeep(exchange.hub)
    said = command("audit")
    assert "none is missing" in said.out
    assert "not judged" in said.out
    publish(exchange.hub, witness)
    key = WitnessStore(exchange.folder / "witness").open_key(PASSPHRASE, insecure=True).vkey
    policy = tmp_path / "policy"
    policy.write_text(f"log {exchange.deployment().audit_vkey}\nwitness w {key} {witness.url}\nquorum w\n")
    found = command("audit", "--policy", policy, "--json").json
    assert found["slice"]["entries"] > 0
    assert found["slice"]["omitted"] == []
    assert found["receipts"]["settled"] > 0
    assert "witnessed: 2" in command("audit", "--policy", policy).out
    lines = command("audit", "--entries").lines
    assert {line["log"] for line in lines} == {exchange.hub.settings.audit_log}
    assert command("audit", "--offline", "--json").json == {"entries": len(lines)}
    assert "verify" in command("audit", "--offline").out
    monkeypatch.setattr("exchange.member.witnessed.WITHIN", timedelta(0))
    alarmed = command("audit", "--policy", policy, "--json", ok=False)
    assert alarmed.code == 4
    assert "no witnessed checkpoint" in alarmed.err
    assert alarmed.json["receipts"]["late"]
    exchange.stop()
    assert command("audit", ok=False).code == 3
