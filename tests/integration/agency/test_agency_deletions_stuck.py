"""Requests and receipts of deletions each go their own way: none waits for, or is taken for, another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, select

from exchange.agency import Client, deletion_rows
from exchange.hub.db import reading, writing
from exchange.hub.models.consents import consent, consent_family
from exchange_schemas.errors import ConsentWithdrawn, HubUnreachable, NotFound, StoreCorrupt
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms
from tests.integration.agency.test_agency_bundles_refused import suspended
from tests.integration.agency.test_agency_deletions import told

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def kinds(client: Client) -> list[str]:
    return [item.kind for item in client.inbox()]


def test_one_recipient_that_takes_no_part_keeps_no_other_from_being_asked(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    with exchange.joined("commission", kind="commission") as commission:
        _, theirs, _ = told(ngo, commission, "commission")
        _, cid, _ = told(ngo, embassy)
        suspended(exchange, "commission")
        ngo.sync()
        ngo.withdraw(theirs, cid)
        assert kinds(embassy).count("deletion_request") == 1
        due = ngo.sync().due
        assert any("a deletion message could not be sent" in text for text in due)
        assert any("embassy has not answered" in text for text in due)
        assert any("has not left for commission yet" in text for text in due)
        assert kinds(embassy).count("deletion_request") == 1


def test_two_answers_without_a_connection_are_two_receipts(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    _, first, _ = told(ngo, embassy)
    _, second, _ = told(ngo, embassy)
    ngo.withdraw(first, second)
    requests = [item.gid for item in embassy.inbox() if item.kind == "deletion_request"]
    for gid in requests:
        embassy.open_grant(gid)
    exchange.stop()
    for gid in requests:
        with pytest.raises(HubUnreachable):
            embassy.deletions.answer(gid)
    assert [row.outcome for row in embassy.deletions.owed()] == [{"outcome": "deleted"}] * 2
    exchange.start()
    for _ in range(2):
        embassy.sync()
        embassy.resume()
    assert kinds(ngo).count("deletion_receipt") == 2
    for item in [*ngo.inbox()][-2:]:
        ngo.open_grant(item.gid)
    assert [row.state for row in ngo.deletions.asked()] == ["answered", "answered"]


def test_a_receipt_that_was_cut_off_before_it_was_sealed_is_sent_by_the_next_sync(
    ngo: Client, embassy: Client
) -> None:
    _, cid, _ = told(ngo, embassy)
    ngo.withdraw(cid)
    *_, request = embassy.inbox()
    embassy.open_grant(request.gid)
    (owed,) = embassy.deletions.owed()
    # What is on the disk when the program is killed after the deletion and before the receipt.
    done = replace(owed, state=deletion_rows.DONE, outcome={"outcome": "deleted"})
    deletion_rows.put_owed(embassy.session.store, done)
    for _ in range(2):
        embassy.sync()
    assert kinds(ngo).count("deletion_receipt") == 1


def test_one_withdrawal_that_the_hub_does_not_take_keeps_no_other_from_counting(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    _, lost, _ = told(ngo, embassy)
    _, cid, _ = told(ngo, embassy)
    with writing(exchange.hub.engine) as conn:
        conn.execute(delete(consent).where(consent.c.cid == lost))
    with pytest.raises(NotFound):
        ngo.withdraw(lost, cid)
    with reading(exchange.hub.engine) as conn:
        shown = select(consent_family.c.status).join(consent).where(consent.c.cid == cid)
        assert conn.execute(shown).scalar_one() == "withdrawn"


def test_an_envelope_that_may_not_leave_any_more_keeps_none_behind_it_in_the_spool(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    refs = [child_with_decision(ngo) for _ in range(3)]
    given = [ngo.consents.grant(ref, to="embassy", terms=found_terms()) for ref in refs]
    exchange.stop()
    for ref in refs:
        with pytest.raises(HubUnreachable):
            ngo.send("found_notice", to=["embassy"], record=ref)
    with pytest.raises(HubUnreachable):
        ngo.withdraw(given[0].cid, given[1].cid)
    exchange.start()
    # Each refusal is told once.
    for left in (["CONSENT_WITHDRAWN"], []):
        with pytest.raises(ConsentWithdrawn):
            ngo.resume()
        assert ([one.last_error for one in ngo.spooled()], kinds(embassy)) == (left, ["found_notice"])
    assert ngo.resume() == []


def test_a_job_whose_bytes_are_lost_here_keeps_none_behind_it(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    refs = [child_with_decision(ngo) for _ in range(2)]
    for ref in refs:
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
    exchange.stop()
    for ref in refs:
        with pytest.raises(HubUnreachable):
            ngo.send("found_notice", to=["embassy"], record=ref)
    lost, _ = ngo.spooled()
    ngo.session.store.delete("spool_deposit", lost.job)
    exchange.start()
    with pytest.raises(StoreCorrupt):
        ngo.resume()
    assert ([one.job for one in ngo.spooled()], kinds(embassy)) == ([lost.job], ["found_notice"])
