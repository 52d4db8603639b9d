"""`retain` in the agency's program: what is past its time is really gone, and nothing before."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from exchange.agency import Client, consent_rows, message_rows, sent_rows
from exchange.agency.deletions import Hold
from exchange.member.session import open_session
from exchange_schemas.errors import ConsentWithdrawn, RecordUnknown
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    USER,
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.integration.agency.test_agency_deletions import newest, told
from tests.unit.agency.cli_runner import CommandLine, secret_file

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]
Later = Callable[[str, timedelta], Client]


@pytest.fixture
def later(exchange: Exchange) -> Later:
    """An agency's program so much later; it talks to nobody."""

    def make(agency: str, by: timedelta) -> Client:
        def now() -> datetime:
            return datetime.now(UTC) + by

        return Client(open_session(exchange.folder / agency, USER, PASSPHRASE, now=now))

    return make


def test_an_opened_message_goes_when_its_keeping_time_is_over(
    ngo: Client, embassy: Client, later: Later
) -> None:
    _, _, notice = told(ngo, embassy)
    embassy.close()
    with later("embassy", timedelta(days=364)) as early:
        assert early.retention.run().counts.total() == 0
    with later("embassy", timedelta(days=366)) as client:
        assert client.retention.run(dry_run=True).counts == {"L1-period": 1}
        assert client.message(notice.gid) is not None
        assert client.retention.run().counts == {"L1-period": 1}
        assert client.message(notice.gid) is None
        assert client.retention.run().counts.total() == 0
        (run,) = client.retention.runs()
        assert (run["user"], run["deleted"]) == (USER, {"L1-period": 1})
        assert notice.gid not in json.dumps(run)
        with pytest.raises(ConsentWithdrawn, match="deleted here"):
            client.open_grant(notice.gid)


def closed(ngo: Client, ref: str, destroy_by: date) -> None:
    ngo.records.edit(ref, {"case_step": "closed"})
    ngo.consents.grant(
        ref,
        to="embassy",
        terms=found_terms(kind="closure", fields=("case_step",), purposes=("reunify",)),
    )
    ngo.send(
        "closure",
        to=["embassy"],
        record=ref,
        fields=["case_step"],
        purpose="reunify",
        content={
            "closure_outcome": "reunited",
            "follow_up_due": (destroy_by - timedelta(days=5)).isoformat(),
            "destroy_by": destroy_by.isoformat(),
        },
    )


def test_a_closure_ends_the_record_of_its_sender_and_what_its_recipient_opened(
    ngo: Client, embassy: Client, later: Later
) -> None:
    ref, cid, notice = told(ngo, embassy)
    by = (ngo.session.now() + timedelta(days=20)).date()
    closed(ngo, ref, by)
    newest(embassy)
    ngo.records.withhold(ref, "court-x")
    ngo.close()
    embassy.close()
    with later("ngo", timedelta(days=19)) as client:
        assert client.retention.run().counts.total() == 0
    with later("embassy", timedelta(days=22)) as client:
        assert client.retention.run().counts == {"L2-destroy-by": 2}
        assert list(client.messages()) == []
        assert client.message(notice.gid) is None
    with later("ngo", timedelta(days=22)) as client:
        assert client.retention.run().counts == {"L3-closed": 1}
        with pytest.raises(RecordUnknown):
            client.records.get(ref)
        store = client.session.store
        assert all(row.record is None and not row.content for row in sent_rows.each(store))
        assert client.consents.get(cid).cid == cid
        assert store.get("withhold", ref) is None
        assert store.get("link", f"{ref}/embassy") is None


def test_a_record_that_is_sent_again_after_its_closure_is_kept(
    ngo: Client, embassy: Client, later: Later
) -> None:
    ref = child_with_decision(ngo)
    notice = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    closed(ngo, ref, (ngo.session.now() + timedelta(days=20)).date())
    ngo.close()
    with later("ngo", timedelta(seconds=5)) as client:
        client.send("found_notice", to=["embassy"], record=ref, consents=[notice.cid])
    with later("ngo", timedelta(days=22)) as client:
        assert client.retention.run().counts.total() == 0


def test_what_a_law_keeps_stays_until_its_day(ngo: Client, embassy: Client, later: Later) -> None:
    _, cid, notice = told(ngo, embassy)
    ngo.withdraw(cid)
    embassy.sync()
    request = newest(embassy)
    until = (embassy.session.now() + timedelta(days=400)).date()
    embassy.deletions.answer(request.gid, keep=Hold("Archives Act", until))
    embassy.close()
    with later("embassy", timedelta(days=399)) as client:
        client.retention.run()
        assert client.message(notice.gid) is not None
        # The request is needed for the receipt of that day.
        assert client.message(request.gid) is not None


def test_old_evidence_goes_and_the_signed_consent_stays(ngo: Client, embassy: Client, later: Later) -> None:
    _, cid, _ = told(ngo, embassy)
    ngo.withdraw(cid)
    ngo.close()
    with later("ngo", timedelta(days=1094)) as client:
        assert client.retention.run().counts.total() == 0
    with later("ngo", timedelta(days=1096)) as client:
        assert client.retention.run().counts == {"L4-proof": 1}
        row = consent_rows.get(client.session.store, consent_rows.OWN, cid)
        assert row is not None
        assert (row.evidence, row.salt, row.record) == (None, None, None)
        assert row.status == consent_rows.WITHDRAWN
        assert row.withdrawal is not None
        assert client.retention.run().counts.total() == 0


def test_only_an_approver_deletes_and_sync_reminds(
    exchange: Exchange,
    ngo: Client,
    embassy: Client,
    later: Later,
    tmp_path: Path,
    command_of: Callable[[Client], CommandLine],
) -> None:
    told(ngo, embassy)
    assert embassy.retention.reminder() == []
    embassy.close()
    with later("embassy", timedelta(days=366)) as client:
        (reminder,) = client.retention.reminder()
        assert "exchange-agency retain" in reminder
        assert client.retention.reminder() == [reminder]
    command = command_of(embassy)
    assert "nothing is past its time" in command("retain", "--dry-run").out
    assert json.loads(command("retain", "--dry-run", "--json").out) == {"deleted": {}, "dry_run": True}
    assert json.loads(command("retain", "--runs", "--json").out) == []
    noor = secret_file(tmp_path / "noor.pass", b"noor's own long passphrase")
    command("user", "add", "noor", "--new-passphrase-file", noor, "--insecure-kdf")
    home = embassy.session.home.path
    as_noor = command.of("--home", home, "--user", "noor", "--passphrase-file", noor)
    assert "nothing is past" in as_noor("retain", "--dry-run").out
    assert "only an approver" in as_noor("retain", ok=False).err


def test_the_message_rows_of_others_are_untouched(ngo: Client, embassy: Client, later: Later) -> None:
    told(ngo, embassy)
    embassy.close()
    with later("embassy", timedelta(days=366)) as client:
        before = sum(1 for _ in message_rows.each(client.session.store))
        client.retention.run(dry_run=True)
        assert sum(1 for _ in message_rows.each(client.session.store)) == before == 1
