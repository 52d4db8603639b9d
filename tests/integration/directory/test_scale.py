"""With 1,000 agencies and 40,000 events a request still reads a few rows, each by an index."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, insert, select, text, update
from sqlalchemy.pool import NullPool

from exchange.hub.models.directory import (
    directory_agency,
    directory_event,
    directory_head,
    directory_key,
    directory_node,
)
from exchange.hub.services import directory
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Caller
from exchange.hub.sql import together
from exchange.log.tree import Frontier, root_of, verify_consistency
from exchange_keys.public import kid_of
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u
from exchange_schemas.ids import AgencyId
from tests.integration.directory.people import Agency, Operators, client_of
from tests.integration.statements import statements_of

AGENCIES = 1_000
EVENTS_EACH = 40
KEYS_EACH = 6
TABLES = ("directory_event", "directory_key", "directory_agency", "directory_node")
NOW = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def fill(hub: Hub, agencies: int) -> tuple[Operators, Agency]:
    """Govern the hub, admit one real agency, and add the rows that more of them would have made."""
    operators = Operators.of(hub, "asha")
    agency = operators.admit("ngo-a")
    with filling(hub) as engine, engine.begin() as conn:
        conn.execute(insert(directory_agency), [_agency(n) for n in range(agencies)])
        conn.execute(insert(directory_key), [_key(n) for n in range(agencies * KEYS_EACH)])
        _grow(conn, agencies * EVENTS_EACH)
        # PostgreSQL plans by its statistics; in production autovacuum keeps them.
        conn.execute(text("ANALYZE"))
    return operators, agency


@contextmanager
def filling(hub: Hub) -> Iterator[Engine]:
    """An engine without the hub's time limits, which a slow machine would meet while it fills."""
    engine = create_engine(hub.settings.owner_database_url or hub.settings.database_url, poolclass=NullPool)
    yield engine
    engine.dispose()


def _agency(number: int) -> dict[str, Any]:
    return {
        "agency": f"filler-{number}",
        "name": "Filler",
        "kind": "ngo",
        "country": "XK",
        "public_authority": False,
        "contact": "desk@filler.example",
        "status": "active",
        "standing_since": NOW,
        "root": "A" * 43,
    }


def _key(number: int) -> dict[str, Any]:
    raw = sha256(number.to_bytes(8, "big")).digest()
    return {
        "kid": kid_of("Ed25519", raw),
        "agency": f"filler-{number // KEYS_EACH}",
        "use": ("envelope", "approver", "enc", "auth", "root", "root")[number % KEYS_EACH],
        "alg": "Ed25519",
        "raw": raw,
        "status": "active",
        "nbf": NOW,
        "exp": NOW + 10**9,
        "event_idx": 7 + number // KEYS_EACH * EVENTS_EACH + number % KEYS_EACH,
    }


def leaves_of(conn: Connection) -> list[bytes]:
    """Every leaf hash, in order."""
    return [bytes(leaf) for leaf in conn.execute(select(directory_event.c.leaf).order_by("idx")).scalars()]


def _grow(conn: Connection, count: int) -> None:
    """Append rows to the log, with the nodes and the head that they would have."""
    leaves = [
        bytes(row) for row in conn.execute(text("SELECT leaf FROM directory_event ORDER BY idx")).scalars()
    ]
    start = len(leaves)
    leaves += [sha256(f"{number}".encode()).digest() for number in range(count)]
    rows = [
        {
            "idx": start + number,
            "event": b'{"payload":"","signatures":[]}',
            "agency": f"filler-{number // EVENTS_EACH}",
            "leaf": leaves[start + number],
            "root": bytes(32),
            "recorded": NOW,
        }
        for number in range(count)
    ]
    conn.execute(insert(directory_event), rows)
    nodes = [root_of(leaves[at : at + 256]) for at in range(0, len(leaves) - 255, 256)]
    conn.execute(
        insert(directory_node), [{"level": 8, "idx": at, "hash": node} for at, node in enumerate(nodes)]
    )
    tree = Frontier.empty().extend(leaves)
    conn.execute(update(directory_head).values(size=tree.size, frontier=tree.to_bytes()))


def scans(conn: Connection, statements: list[tuple[str, Any]]) -> list[str]:
    """The statements that read a whole table of the directory."""
    sqlite = conn.dialect.name == "sqlite"
    if not sqlite:
        # It rightly reads a table of a few pages whole; the question is whether an index fits the statement.
        conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
    found = []
    for statement, parameters in statements:
        if not statement.lstrip().startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
            continue
        if not any(table in statement for table in TABLES):
            continue
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        plan = conn.exec_driver_sql(explain + statement, parameters).all()
        words = "\n".join(str(row[-1]) for row in plan)
        if any(f"SCAN {table}" in words or f"Seq Scan on {table}" in words for table in TABLES):
            found.append(f"{statement}\n{words}")
    return found


def test_a_request_costs_a_few_indexed_statements(hub: Hub, new_caller: Callable[..., Caller]) -> None:
    operators, agency = fill(hub, AGENCIES)
    now, kid, filler = hub.clock(), agency.enc.public.kid, AgencyId("filler-500")
    size = AGENCIES * EVENTS_EACH + 7
    readings: dict[Callable[[Connection], Any], int] = {
        lambda conn: directory.agency_of(conn, filler): 1,
        lambda conn: directory.state_of(conn, filler): 2,
        lambda conn: directory.key_of(conn, kid, use="enc", agency=agency.id, now=now): 2,
        lambda conn: client_of(conn, agency.id, agency.auth.public.kid, now): 2,
        lambda conn: directory.holders_of(conn, agency.id, [kid]): 1,
        directory.position: 1,
        lambda conn: together(conn, directory.asking_root(20_000))[0].rows: 1,
        # The head, the events, their keys, and at most two tiles at each of two levels.
        lambda conn: directory.page(conn, size, 500): 3,
        lambda conn: directory.page(conn, size - 1, 500): 7,
        lambda conn: directory.page(conn, 20_000, 500): 7,
        lambda conn: directory.page(conn, 1, 500): 7,
        lambda conn: directory.page(conn, 0, 500): 3,
    }
    for number, (read, most) in enumerate(readings.items()):
        with hub.engine.connect() as conn:
            with statements_of(hub.engine) as seen:
                assert read(conn) is not None
            asked = [one for one in seen if one[0] != "BEGIN IMMEDIATE"]
            assert len(asked) <= most, (number, asked)
            assert scans(conn, asked) == []
    fresh = EncKey.generate().public
    event, keys = agency.key(fresh, "enc").to_json(), {fresh.kid: b64u(fresh.raw)}
    with statements_of(hub.engine) as seen:
        directory.log_event(operators.hub, new_caller("ngo-a"), event, keys)
    assert len(seen) <= 25
    with hub.engine.connect() as conn:
        assert scans(conn, seen) == []


def test_a_proof_over_many_events_verifies(hub: Hub) -> None:
    fill(hub, 30)
    with hub.engine.connect() as conn:
        leaves = leaves_of(conn)
        size, root = directory.position(conn)
        assert root == root_of(leaves)
        for after in (1, 255, 256, 257, 1_000, size - 1):
            found = directory.page(conn, after, 10)
            assert [one.index for one in found.events] == list(range(after, min(after + 10, size)))
            verify_consistency(after, size, found.consistency, root_of(leaves[:after]), root)
