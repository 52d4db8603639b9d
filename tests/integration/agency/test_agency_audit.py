"""An agency audits the hub: its slice is whole, its receipts are in it and witnessed; lies are found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.agency import Client
from exchange.agency.own_slice import OwnSlice, SliceReport
from exchange.auditor.witness.server import WitnessServer
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessStore
from exchange.hub.db import reading
from exchange.hub.services import audit_read, slices
from exchange.hub.services.hub import Hub
from exchange.hub.services.slices import append_heads, index_some
from exchange.log.checkpoint import Checkpoint, parse_vkey, sign_checkpoint
from exchange.log.policy import Policy
from exchange.log.slices import parties_of
from exchange.log.tiles import split_bundle
from exchange.log.tree import consistency_proof
from exchange.log.witnessing import obtain_cosignature
from exchange.member.deployment import Quorum
from exchange.member.witnessed import Seen, look, policy_of
from exchange.net.wire import Wire
from exchange.net.witnesses import WitnessClient
from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.entry import Entry
from exchange_schemas.errors import (
    ExchangeError,
    HubRefused,
    LogFork,
    Malformed,
    ProofInvalid,
    StoreCorrupt,
)
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    USER,
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.integration.auditor.serving import running
from tests.unit.agency.cli_runner import CommandLine, secret_file

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


def deal(sender: Client, recipient: Client) -> None:
    """A notice that the recipient opens."""
    ref = child_with_decision(sender)
    to = recipient.session.profile.agency
    sender.consents.grant(ref, to=to, terms=found_terms())
    sender.send("found_notice", to=(to,), record=ref)
    recipient.sync()
    for item in list(recipient.inbox()):
        recipient.open_grant(item.gid)
    sender.sync()


def upkeep(hub: Hub) -> None:
    while index_some(hub):
        pass
    append_heads(hub)


def audited(client: Client) -> SliceReport:
    return OwnSlice(client.session).pull()


def log_of(hub: Hub) -> list[bytes]:
    with reading(hub.engine) as conn:
        size = audit_read.head(conn).size
    return [one for part in audit_read.bundles(hub, 0, size) for one in split_bundle(part)]


def test_an_agency_sees_all_of_its_own_dealings_and_nothing_of_others(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    before = audited(ngo)
    assert (before.entries, before.covers, before.at) == (0, 0, None)
    deal(ngo, embassy)
    with exchange.joined("commission", kind="commission") as commission:
        deal(commission, embassy)
    upkeep(exchange.hub)
    found = audited(ngo)
    assert (found.omitted, found.waiting) == ((), ())
    mine = [one for one in log_of(exchange.hub)[: found.covers] if "ngo" in Entry.from_bytes(one).own]
    assert list(OwnSlice(ngo.session).entries()) == mine
    assert found.entries == found.new == len(mine) > 5
    assert OwnSlice(ngo.session).verify_kept() == len(mine)
    assert audited(ngo).new == 0
    deal(ngo, embassy)
    upkeep(exchange.hub)
    again = audited(ngo)
    assert 0 < again.new < again.entries
    # Every receipt but those of the newest tokens and calls was found in the slice.
    assert all(one.size > again.covers for one in ngo.session.receipts.unsliced())


def test_many_entries_come_in_pages_and_a_torn_pull_goes_on(
    exchange: Exchange, ngo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.hub.services.slice_read.PAGE", 3)
    for _ in range(4):
        ngo.sync()
    upkeep(exchange.hub)
    pages = 0

    def torn(path: str, body: bytes) -> bytes:
        nonlocal pages
        pages += path == "/v1/audit/slice"
        return b"{" if pages == 3 and path == "/v1/audit/slice" else body

    exchange.change = torn
    with pytest.raises(HubRefused):
        audited(ngo)
    exchange.change = None
    found = audited(ngo)
    assert found.entries - found.new == 6
    assert OwnSlice(ngo.session).verify_kept() == found.entries


# -- a hub that lies -------------------------------------------------------------------------------------


Change = Callable[[dict[str, Any]], None]


def _of(path: str, change: Change) -> Callable[[str, bytes], bytes]:
    def work(asked: str, body: bytes) -> bytes:
        if asked != path:
            return body
        value = json.loads(body)
        change(value)
        return json.dumps(value, separators=(",", ":")).encode()

    return work


def _altered(value: dict[str, Any]) -> None:
    entry = unb64u(value["entries"][1]["entry"], field="entry")
    value["entries"][1]["entry"] = b64u(entry.replace(b'"v":1', b'"v":1').replace(b'"ts":1', b'"ts":2', 1))


def _swap(value: dict[str, Any]) -> None:
    value["entries"][0], value["entries"][1] = value["entries"][1], value["entries"][0]


def _count_less(value: dict[str, Any]) -> None:
    del value["entries"][-1]
    value["heads"]["size"] -= 1


def _another_entry(value: dict[str, Any]) -> None:
    value["heads"]["entry"] = value["entries"][0]["entry"]


LIES: dict[str, tuple[Change, type[ExchangeError]]] = {
    "altered": (_altered, ProofInvalid),
    "dropped": (lambda value: value["entries"].pop(0), ProofInvalid),
    "cut off": (lambda value: value["entries"].pop(), ProofInvalid),
    "cut off and counted": (_count_less, ProofInvalid),
    "swapped": (_swap, ProofInvalid),
    "repeated": (lambda value: value["entries"].append(value["entries"][0]), ProofInvalid),
    "another index": (lambda value: value["entries"][0].update(index=0), ProofInvalid),
    "another salt": (lambda value: value["heads"].update(salt=b64u(bytes(32))), ProofInvalid),
    "another position": (lambda value: value["heads"].update(position=1), ProofInvalid),
    "another path": (lambda value: value["heads"]["path"].append(b64u(bytes(32))), ProofInvalid),
    "heads that are none": (
        lambda value: value["heads"].update(entry=value["entries"][0]["entry"]),
        ProofInvalid,
    ),
    "no proof": (lambda value: value["heads"].pop("proof"), Malformed),
    "numbers that are none": (lambda value: value["heads"].update(size="1"), Malformed),
    "a path that is none": (lambda value: value["entries"][0].update(path="x"), Malformed),
    "an entry that is none": (lambda value: value["entries"].insert(0, 1), Malformed),
    "entries that are none": (lambda value: value.update(entries=None), HubRefused),
    "an empty page and more": (lambda value: value.update(entries=[], next=5), HubRefused),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_page_that_lies_is_refused_and_nothing_of_it_kept(
    exchange: Exchange, ngo: Client, lie: str
) -> None:
    change, error = LIES[lie]
    ngo.sync()
    upkeep(exchange.hub)
    exchange.change = _of("/v1/audit/slice", change)
    with pytest.raises(error):
        audited(ngo)
    assert list(OwnSlice(ngo.session).entries()) == []
    exchange.change = None
    assert audited(ngo).entries > 0


def test_heads_that_go_back_or_away_are_a_roll_back(exchange: Exchange, ngo: Client) -> None:
    ngo.sync()
    upkeep(exchange.hub)
    old: list[bytes] = []

    def keep(path: str, body: bytes) -> bytes:
        if path == "/v1/audit/slice":
            old.append(body)
        return body

    exchange.change = keep
    audited(ngo)
    ngo.sync()
    upkeep(exchange.hub)
    audited(ngo)
    older = json.loads(old[0])

    def show_old(value: dict[str, Any]) -> None:
        value.update(heads=older["heads"], entries=[])

    for change in (show_old, lambda value: value.update(heads=None)):
        exchange.change = _of("/v1/audit/slice", change)
        with pytest.raises(LogFork) as told:
            audited(ngo)
        assert told.value.rule == "rolled-back"


def test_an_entry_that_the_hub_leaves_out_is_missed_by_its_receipt(
    exchange: Exchange, ngo: Client, embassy: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal(ngo, embassy)
    hidden = next(one for one in log_of(exchange.hub) if b"envelope:deposit" in one)

    def lying(entry: bytes) -> tuple[str, ...]:
        return tuple(name for name in parties_of(entry) if entry != hidden or name != "ngo")

    monkeypatch.setattr(slices, "parties_of", lying)
    upkeep(exchange.hub)
    found = audited(ngo)
    assert found.omitted == (Entry.from_bytes(hidden).id,)
    assert audited(ngo).omitted == found.omitted
    # The other party was not deceived.
    assert audited(embassy).omitted == ()


def test_a_receipt_that_no_heads_cover_for_ten_minutes_is_told(exchange: Exchange, ngo: Client) -> None:
    upkeep(exchange.hub)
    ngo.sync()
    assert audited(ngo).waiting == ()
    now = ngo.session.now
    ngo.session.now = lambda: now() + timedelta(minutes=11)
    assert audited(ngo).waiting
    upkeep(exchange.hub)
    assert audited(ngo).waiting == ()


def test_what_is_kept_is_verified_again(exchange: Exchange, ngo: Client) -> None:
    ngo.sync()
    upkeep(exchange.hub)
    audited(ngo)
    own, store = OwnSlice(ngo.session), ngo.session.store
    ident, row = next(iter(store.each("slice_entry")))
    changed = unb64u(row["entry"], field="entry").replace(b'"ts":1', b'"ts":2', 1)
    store.put("slice_entry", ident, row | {"entry": b64u(changed)})
    with pytest.raises(StoreCorrupt):
        own.verify_kept()
    store.put("slice_entry", ident, row)
    assert own.verify_kept() > 0
    state = store.get("slice", "state")
    assert state is not None
    heads = state["heads"]
    assert isinstance(heads, dict)
    store.put("slice", "state", state | {"heads": heads | {"salt": b64u(bytes(32))}})
    with pytest.raises(ProofInvalid):
        own.verify_kept()


# -- witnesses -------------------------------------------------------------------------------------------


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
def command(
    exchange: Exchange,
    ngo: Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> CommandLine:
    secret = secret_file(tmp_path / "user.pass", PASSPHRASE)
    ngo.close()
    bare = CommandLine(capsys, monkeypatch)
    return bare.of("--home", exchange.folder / "ngo", "--user", USER, "--passphrase-file", secret)


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
