"""What a deposit, a fetch and a page cost the database: a fixed number of statements, no table scanned."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from exchange.hub.db import reading
from exchange.hub.services import consents, inbox, outbox, parts
from exchange_keys.envelope import SealedEnvelope, regrant, unlock_grant
from exchange_schemas.codec import b64u, sha256
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, REFERRAL, REFERRED, TWELVE, World
from tests.integration.messages.edits import body_of, core_of, grant_of
from tests.integration.messages.statements import Statement, statements

DIGEST = b64u(sha256(b"sealed"))
# What grows with the number of messages.
TABLES = ("grant_", "part", "consent", "consent_family", "manifest", "chain_head", "mailbox")
# What `release` adds: begin, proof, token, savepoint, salts, disclosures, the entry and its leaf.
RELEASE = 16


def envelope(world: World, ngo: Agency, count: int, fields: tuple[str, ...]) -> SealedEnvelope:
    """A sealed envelope of these fields to `count` recipients."""
    recipients = []
    for number in range(count):
        rcp = world.agencies.get(f"recipient-{number}") or world.admit(f"recipient-{number}")
        given = world.consent(ngo, rcp, fields=tuple(sorted(fields)))
        recipients.append(world.recipient(ngo, rcp, given, fields=fields))
    return world.seal(ngo, recipients, world.draft(ngo, fields))


def own(seen: list[Statement]) -> list[str]:
    """The statements that are not `release`'s: those between the spent proof and the entry."""
    texts = [text for text, _ in seen]
    start = max(at for at, text in enumerate(texts) if text.startswith("INSERT INTO replay"))
    end = next(at for at, text in enumerate(texts) if "log_salt" in text or "log_disclosure" in text)
    return [text for text in texts[start + 1 : end] if not text.startswith(("SAVEPOINT", "RELEASE"))]


def test_a_deposit_takes_eleven_statements_whatever_its_size(world: World, ngo: Agency) -> None:
    for count, fields in ((1, FOUND), (2, TWELVE), (6, TWELVE)):
        for _ in range(2):
            sealed = envelope(world, ngo, count, fields)
            with statements(world) as seen:
                world.deposit(ngo, sealed)
            assert len(own(seen)) == 11, own(seen)
            assert len(seen) <= 11 + RELEASE


def test_the_same_deposit_again_takes_five_statements(world: World, ngo: Agency) -> None:
    sealed = envelope(world, ngo, 2, FOUND)
    world.deposit(ngo, sealed)
    with statements(world) as seen:
        world.deposit(ngo, sealed)
    assert len(own(seen)) == 5


def test_a_fetch_takes_seven_statements_whatever_its_size(world: World, ngo: Agency) -> None:
    for fields in (FOUND, TWELVE):
        sealed = envelope(world, ngo, 2, fields)
        world.deposit(ngo, sealed)
        rcp = world.agencies["recipient-0"]
        with statements(world) as seen:
            world.fetch(rcp, grant_of(sealed, rcp).gid)
        # Two of them before the transaction: the grant, its parts.
        assert len(own(seen)) == 5, own(seen)
        assert len(seen) <= 7 + RELEASE


def test_a_page_takes_one_statement(world: World, ngo: Agency) -> None:
    sealed = envelope(world, ngo, 1, FOUND)
    world.deposit(ngo, sealed)
    rcp = world.agencies["recipient-0"]
    with statements(world) as seen:
        inbox.listing(world.hub, world.caller(rcp), cursor=None, limit=10, tags=None)
    assert len(own(seen)) == 1


# -- plans -----------------------------------------------------------------------------------------


@pytest.fixture
def everything(world: World, ngo: Agency) -> list[Statement]:
    """Each statement of each operation once."""
    given: Callable[[], Any] = lambda: world.consent(ngo, world.agencies["embassy"])  # noqa: E731
    world.send(ngo, given())
    with statements(world) as seen:
        first = given()
        sealed = world.send(ngo, first)
        embassy = world.agencies["embassy"]
        gid = grant_of(sealed, embassy).gid
        inbox.listing(world.hub, world.caller(embassy), cursor=None, limit=10, tags=None)
        world.fetch(embassy, gid)
        world.submit(embassy, gid, world.sign_receipt(sealed, embassy))
        outbox.listing(world.hub, world.caller(ngo), cursor=None, limit=10)
        outbox.heads(world.hub, world.caller(ngo), [embassy.id])
        consents.listing(world.hub, world.caller(embassy), cursor=None, limit=10)
        consents.one(world.hub, world.caller(embassy), first.consent.cid)
        world.deposit(ngo, sealed, body_of(sealed))
        world.withdraw(first)
        sealed = world.send(ngo, given())
        eid = core_of(sealed.grants[0].core).eid
        for _ in range(2):
            parts.upload(world.hub, world.caller(ngo), DIGEST, io.BytesIO(b"sealed"))
        after, thread = world.confirmations(ngo, embassy)
        confirmed = world.consent(ngo, embassy, pur=("health",), fields=REFERRED, after=after)
        draft = world.draft(ngo, REFERRAL, kind="service_referral", purpose="health")
        recipient = world.recipient(ngo, embassy, confirmed, fields=REFERRAL, values={}, thread=thread)
        world.deposit(ngo, world.seal(ngo, [recipient], draft))
        own = grant_of(sealed, ngo)
        held = unlock_grant(own.core, own.sealed, ngo.enc)
        again = world.recipient(ngo, embassy, given())
        world.deposit(ngo, regrant(world.draft(ngo, eid=eid), held, [again], ngo.envelope))
    return [
        (text, parameters) for text, parameters in seen if text.startswith(("SELECT", "UPDATE", "INSERT"))
    ]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_no_statement_scans_a_table_on_sqlite(world: World, everything: list[Statement]) -> None:
    for text, parameters in everything:
        with reading(world.hub.engine) as conn:
            plan = [row[-1] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
        scans = [line for line in plan if any(line.split()[:2] == ["SCAN", table] for table in TABLES)]
        assert not scans, (text, plan)


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
def test_no_statement_needs_to_scan_a_table_on_postgres(world: World, everything: list[Statement]) -> None:
    """With sequential scans made as dear as can be, none is left: each table has the index it needs."""
    for text, parameters in everything:
        with world.hub.engine.connect() as conn:
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = [row[0] for row in conn.exec_driver_sql(f"EXPLAIN {text}", parameters)]
        scans = [line for line in plan if any(f"Seq Scan on {table} " in line for table in TABLES)]
        assert not scans, (text, plan)
