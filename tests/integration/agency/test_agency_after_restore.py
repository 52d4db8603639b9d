"""A hub that was put back to a backup: after an operator took it as it is its members go on; before, not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from exchange.agency import Client
from exchange.agency.chains import Head, head_out, move_head
from exchange.hub.db import reading, writing
from exchange.hub.models.consents import consent, consent_family
from exchange.hub.models.envelopes import chain_head, grant, mailbox
from exchange.hub.services.hub import Hub
from exchange.hub.services.recover import recover
from exchange_schemas.errors import LogIncomplete
from exchange_schemas.ids import AgencyId
from tests.integration.agency.exchange_world import Exchange, found_terms

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


@contextmanager
def put_back_afterwards(hub: Hub) -> Iterator[None]:
    """What is sent within is lost to the hub: chains, mailboxes and grants are as they were."""
    kept: dict[Any, list[dict[str, Any]]] = {}
    with reading(hub.engine) as conn:
        gids = list(conn.execute(select(grant.c.gid)).scalars())
        for table in (chain_head, mailbox):
            kept[table] = [dict(row) for row in conn.execute(select(table)).mappings()]
    yield
    with writing(hub.engine) as conn:
        conn.execute(delete(grant).where(grant.c.gid.not_in(gids)))
        for table, rows in kept.items():
            conn.execute(delete(table))
            for row in rows:
                conn.execute(insert(table).values(row))


def taken_as_it_is(hub: Hub) -> None:
    hub.settings.guard_dir.mkdir(exist_ok=True)
    recover(hub, "asha")


def position(hub: Hub, agency: str) -> int:
    with reading(hub.engine) as conn:
        return int(conn.execute(select(mailbox.c.position).where(mailbox.c.agency == agency)).scalar_one())


def send(client: Client, record: str) -> str:
    return str(client.send("found_notice", to=["embassy"], record=record).grants[0].gid)


def test_after_a_recovery_a_sender_that_is_further_on_is_heard_again(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    embassy.open_grant(send(ngo, consented))
    with put_back_afterwards(exchange.hub):
        lost = send(ngo, consented)
        embassy.open_grant(lost)
        seen = position(exchange.hub, "embassy")
    with pytest.raises(LogIncomplete) as caught:
        send(ngo, consented)
    assert caught.value.rule == "chain-rollback"
    taken_as_it_is(exchange.hub)
    assert position(exchange.hub, "embassy") > seen
    again = send(ngo, consented)
    assert position(exchange.hub, "embassy") > seen + 1
    # Nobody is asked to believe in two grants of one number, and nothing that waits is passed over.
    assert [item.gid for item in embassy.inbox(waiting_only=True)] == [again]
    assert embassy.open_grant(again).seq == 3


def test_what_the_hub_has_lost_is_named_to_its_sender(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    send(ngo, consented)
    with put_back_afterwards(exchange.hub):
        opened, waiting = send(ngo, consented), send(ngo, consented)
        embassy.open_grant(opened)
        assert [item.state for item in ngo.outbox()] == ["waiting", "receipted", "waiting"]
    taken_as_it_is(exchange.hub)
    again = send(ngo, consented)
    states = {item.gid: item.state for item in ngo.outbox()}
    # The recipient's receipt for the other one is kept here: it arrived.
    assert (states[waiting], states[again], opened in states) == ("lost", "waiting", False)


def test_a_recovery_opens_a_chain_once(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    taken_as_it_is(exchange.hub)
    send(ngo, consented)
    there = AgencyId("embassy")
    ahead = head_out(ngo.session.store, there)
    move_head(ngo.session.store, there, Head(ahead.seq + 5, ahead.digest))
    with pytest.raises(LogIncomplete):
        send(ngo, consented)


def test_a_chain_that_began_after_the_backup_goes_on_too(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    with put_back_afterwards(exchange.hub):
        embassy.open_grant(send(ngo, consented))
    taken_as_it_is(exchange.hub)
    taken_as_it_is(exchange.hub)
    again = send(ngo, consented)
    assert [item.gid for item in embassy.inbox(waiting_only=True)] == [again]
    assert embassy.open_grant(again).seq == 2


def forget_consents(hub: Hub, *, but: Collection[str] = ()) -> None:
    """The backup is of before every consent but these."""
    with writing(hub.engine) as conn:
        conn.execute(delete(consent).where(consent.c.cid.not_in(but)))
        kept = conn.execute(select(consent.c.family, consent.c.cid)).all()
        conn.execute(
            delete(consent_family).where(consent_family.c.family.not_in([row.family for row in kept]))
        )
        for row in kept:
            conn.execute(
                update(consent_family).where(consent_family.c.family == row.family).values(newest=row.cid)
            )


def test_consents_that_the_hub_has_lost_are_registered_again_in_their_order(
    exchange: Exchange, ngo: Client, embassy: Client, consented: str
) -> None:
    (old,) = ngo.consents.each(record=consented)
    narrow = replace(found_terms(), supersedes=old.cid)
    newer = ngo.consents.grant(consented, to="embassy", terms=narrow)
    forget_consents(exchange.hub)
    alarms = ngo.sync().alarms
    assert [old.cid in text for text in alarms if "lost the consent" in text] == [True, False]
    assert [newer.cid in text for text in alarms if "lost the consent" in text] == [False, True]
    assert embassy.open_grant(send(ngo, consented)).seq == 1
    ngo.consents.grant(consented, to="embassy", terms=replace(found_terms(), supersedes=newer.cid))
    assert not any("lost the consent" in text for text in ngo.sync().alarms)


def test_a_lost_consent_that_is_not_taken_again_stays_here_and_is_named(
    exchange: Exchange, ngo: Client, consented: str
) -> None:
    (old,) = ngo.consents.each(record=consented)
    newer = ngo.consents.grant(consented, to="embassy", terms=replace(found_terms(), supersedes=old.cid))
    with writing(exchange.hub.engine) as conn:
        conn.execute(delete(consent).where(consent.c.cid == newer.cid))
    # The family names a newest one that is not there: the hub takes it neither as new nor as known.
    (alarm,) = (text for text in ngo.sync().alarms if "does not take it again" in text)
    assert newer.cid in alarm
    assert ngo.consents.get(newer.cid).status == "active"


def test_a_withdrawn_consent_that_the_hub_has_lost_is_not_registered_again(
    exchange: Exchange, ngo: Client, consented: str
) -> None:
    (old,) = ngo.consents.each(record=consented)
    ngo.consents.withdraw(old.cid)
    forget_consents(exchange.hub)
    ngo.sync()
    with reading(exchange.hub.engine) as conn:
        assert conn.execute(select(consent.c.cid)).all() == []


def test_a_consent_that_the_hub_has_lost_can_be_withdrawn(
    exchange: Exchange, ngo: Client, consented: str
) -> None:
    (old,) = ngo.consents.each(record=consented)
    forget_consents(exchange.hub)
    assert ngo.consents.withdraw(old.cid).delivered == 0
    with reading(exchange.hub.engine) as conn:
        assert conn.execute(select(consent_family.c.status)).scalars().all() == ["withdrawn"]
