"""What another machine of the agency did: its withdrawals are asked after, a wrong declined is refused."""

from __future__ import annotations

import pytest

from exchange.agency import Client, sent_rows
from exchange_schemas.errors import SenderMismatch
from tests.integration.agency.exchange_world import Exchange, child_with_decision, found_terms, second_host
from tests.integration.agency.test_agency_deletions import newest, told

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_withdrawal_that_another_machine_made_is_asked_after_here_as_well(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    home = exchange.folder / "ngo"
    _, cid, notice = told(ngo, embassy)
    ngo.close()
    with second_host(exchange, home) as other:
        # That machine withdraws and is lost before it has asked anybody.
        other.sync()
        other.consents.withdraw(cid)
    with exchange.client(home) as here:
        assert any("not made on this machine" in text for text in here.sync().alarms)
        (asked,) = here.deletions.asked(unanswered=True)
        assert (asked.recipient, asked.state) == ("embassy", "asked")
    embassy.sync()
    request = newest(embassy)
    assert request.kind == "deletion_request"
    assert embassy.deletions.answer(request.gid).outcome == {"outcome": "deleted"}
    assert embassy.message(notice.gid) is None


def test_a_withdrawal_before_anything_was_delivered_asks_nobody(
    exchange: Exchange, ngo: Client, embassy: Client
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    home = exchange.folder / "ngo"
    ngo.close()
    with second_host(exchange, home) as other:
        other.sync()
        other.consents.withdraw(consent.cid)
    with exchange.client(home) as here:
        here.sync()
        assert list(here.deletions.asked()) == []


def test_a_declined_that_answers_no_request_of_ours_is_refused_on_arrival(
    ngo: Client, embassy: Client
) -> None:
    _, _, notice = told(ngo, embassy)
    embassy.send(
        "withdrawal_request", to=["ngo"], in_reply_to=notice.gid, content={"reason_code": "security"}
    )
    asked = newest(ngo)
    ngo.send("declined", to=["embassy"], in_reply_to=asked.gid, content={"reason_code": "legal_order"})
    # The request is forgotten here: whoever answers it now answers nothing that was asked.
    store = embassy.session.store
    for row in list(sent_rows.each(store)):
        if row.kind == "withdrawal_request":
            store.delete(sent_rows.COLLECTION, row.gid)
    with pytest.raises(SenderMismatch) as refused:
        newest(embassy)
    assert refused.value.rule == "A04-declined"
