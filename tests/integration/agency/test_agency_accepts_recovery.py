"""A hub that lost entries of its log for good: an agency goes on with it once persons agreed, not before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text

from exchange.agency import Client
from exchange.hub.db import reading, writing
from exchange.hub.models.log import log_entry, log_node
from exchange.hub.models.slices import slice_leaf, slice_party, slice_state
from exchange.hub.services.hub import Hub
from exchange.log.proof import verify_entry
from exchange_schemas.codec import unb64u
from exchange_schemas.errors import ConfigInvalid, LogFork, ProofInvalid
from tests.integration.agency.dealings import deal, log_of, upkeep
from tests.integration.agency.exchange_world import Exchange
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

KEPT = (log_entry, log_node, slice_party, slice_leaf, slice_state)


@contextmanager
def lost_afterwards(hub: Hub) -> Iterator[None]:
    """The log and its slices are put back to what they were before the block."""
    with reading(hub.engine) as conn:
        kept: dict[Any, list[dict[str, Any]]] = {
            table: [dict(row) for row in conn.execute(select(table)).mappings()] for table in KEPT
        }
    yield
    with writing(hub.engine) as conn:
        named = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'log_%'"
        triggers = conn.execute(text(named)).all()
        for name, _ in triggers:
            conn.execute(text(f"DROP TRIGGER {name}"))
        for table, rows in kept.items():
            conn.execute(delete(table))
            if rows:
                conn.execute(insert(table), rows)
        for _, sql in triggers:
            conn.execute(text(sql))


@pytest.fixture
def forked(exchange: Exchange, ngo: Client, embassy: Client) -> int:
    """The hub lost what the agency saw, and went on; how many entries the agency had seen."""
    deal(ngo, embassy)
    upkeep(exchange.hub)
    ngo.audit()
    with lost_afterwards(exchange.hub):
        ngo.sync()
        upkeep(exchange.hub)
        seen = ngo.audit().slice.covers
    while len(log_of(exchange.hub)) < seen + 20:
        embassy.sync()
    upkeep(exchange.hub)
    with pytest.raises((LogFork, ProofInvalid)):
        ngo.audit()
    return seen


def test_an_agency_goes_on_when_persons_agreed_and_keeps_what_it_saw(
    exchange: Exchange, forked: int, ngo: Client, tmp_path: Path
) -> None:
    evidence = tmp_path / "seen.ndjson"
    found = ngo.accept_recovery(evidence)
    assert (found.slice.omitted, found.slice.waiting, found.slice.new) == ((), (), found.slice.entries)
    lines = [json.loads(line) for line in evidence.read_bytes().splitlines()]
    assert evidence.stat().st_mode & 0o777 == 0o600
    assert {"tree", "heads", "entry"} <= {name for line in lines for name in line}
    # The hub's own signature over an entry that its log does not have any more.
    heads = next(line["heads"] for line in lines if "heads" in line)
    entry = unb64u(heads["entry"], field="entry")
    tree = verify_entry(entry, heads["proof"], [ngo.session.profile.deployment.audit_vkey])
    assert tree.size >= forked
    assert entry not in log_of(exchange.hub)
    ngo.sync()
    upkeep(exchange.hub)
    assert not ngo.audit().alarming


def test_nothing_is_forgotten_without_need_or_for_a_log_that_does_not_hold(
    exchange: Exchange, ngo: Client, embassy: Client, tmp_path: Path
) -> None:
    deal(ngo, embassy)
    upkeep(exchange.hub)
    before = ngo.audit().slice.entries
    with pytest.raises(ConfigInvalid, match="nothing is to be accepted"):
        ngo.accept_recovery(tmp_path / "seen")
    ngo.sync()
    upkeep(exchange.hub)

    def lie(path: str, body: bytes) -> bytes:
        if path != "/v1/audit/slice":
            return body
        return json.dumps({**json.loads(body), "entries": [], "next": None}).encode()

    exchange.change = lie
    with pytest.raises(ProofInvalid):
        ngo.accept_recovery(tmp_path / "seen")
    assert list(tmp_path.glob("seen*")) == []
    exchange.change = lambda _path, body: body
    found = ngo.audit().slice
    assert found.entries > before
    assert found.new == found.entries - before


def test_the_command_asks_first_and_writes_over_nothing(
    forked: int, ngo: Client, command_of: Callable[[Client], CommandLine], tmp_path: Path
) -> None:
    command, evidence = command_of(ngo), tmp_path / "seen.ndjson"
    assert command("audit", ok=False).code == 4
    evidence.write_text("there")
    refused = command("audit", "--accept-recovery", evidence, "--yes", ok=False)
    assert refused.code == 1
    assert "name another file" in refused.err
    evidence.unlink()
    # Nobody answers the question here.
    asked = command("audit", "--accept-recovery", evidence, ok=False)
    assert asked.code != 0
    assert "Has the commission said" in asked.err
    assert not evidence.exists()
    assert command("audit", "--accept-recovery", evidence, "--yes").code == 0
    assert evidence.exists()
    assert command("audit").code == 0
