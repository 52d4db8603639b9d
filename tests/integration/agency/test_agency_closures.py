"""A closed case: follow-up and day of destruction are in the listings and reminders of both sides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exchange.agency import Client
from exchange_schemas.errors import RecordUnknown
from tests.integration.agency.exchange_world import child_with_decision, found_terms
from tests.integration.agency.test_agency_deletions import newest
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def close(ngo: Client, embassy: Client, *, follow_up: str, destroy: str) -> str:
    """A record's case closed by the NGO and opened by the embassy; the record."""
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.records.edit(ref, {"case_step": "closed"})
    terms = found_terms(kind="closure", fields=("case_step", "child_ref"))
    ngo.consents.grant(ref, to="embassy", terms=terms)
    again(ngo, ref, follow_up=follow_up, destroy=destroy)
    embassy.sync()
    newest(embassy)
    return ref


def again(ngo: Client, ref: str, *, follow_up: str, destroy: str) -> None:
    days = {"closure_outcome": "reunited", "follow_up_due": follow_up, "destroy_by": destroy}
    ngo.send("closure", to=["embassy"], record=ref, content=days)


def test_both_sides_are_reminded_of_follow_up_and_destruction(ngo: Client, embassy: Client) -> None:
    ref = close(ngo, embassy, follow_up="2026-01-10", destroy="2026-02-01")
    for client, partner, record in ((ngo, "embassy", ref), (embassy, "ngo", None)):
        (case,) = client.requests.closed()
        assert (case.partner, case.record, case.outcome, case.here) == (partner, record, "reunited", True)
        due = client.sync().due
        assert any("follow-up" in text and "2026-01-10" in text for text in due)
        assert any("destroyed by 2026-02-01" in text for text in due)
    ngo.requests.followed_up(ngo.requests.closed()[0].thread)
    assert not any("follow-up" in text for text in ngo.sync().due)
    assert any("follow-up" in text for text in embassy.sync().due)


def test_what_is_not_due_is_not_reminded_of_and_the_newest_closure_counts(
    ngo: Client, embassy: Client
) -> None:
    ref = close(ngo, embassy, follow_up="2099-01-10", destroy="2099-02-01")
    assert not any("case" in text for text in ngo.sync().due)
    with pytest.raises(RecordUnknown):
        ngo.requests.followed_up("A" * 22)
    again(ngo, ref, follow_up="2098-01-10", destroy="2098-02-01")
    (case,) = ngo.requests.closed()
    assert str(case.destroy_by) in ("2098-02-01", "2099-02-01")


def test_the_commands_list_and_note_it(
    ngo: Client,
    embassy: Client,
    command_of: Callable[[Client], CommandLine],
) -> None:
    close(ngo, embassy, follow_up="2026-01-10", destroy="2026-02-01")
    run = command_of(ngo)
    assert "2026-01-10" in run("request", "closed").out
    (case,) = run("request", "closed", "--json").json
    assert "is made" in run("request", "followed-up", case["thread"]).out
    assert run("request", "closed", "--json").json[0]["followed_up"] is not None
    assert run("request", "followed-up", "A" * 22, ok=False).code != 0
