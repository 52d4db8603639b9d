"""`release`: nothing leaves unlogged, a denial keeps its proof and its entry, a failure leaves nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Table, func, select, text

from exchange.hub.db import reading, writing
from exchange.hub.models.log import log_disclosure, log_entry, log_salt
from exchange.hub.models.replay import replay
from exchange.hub.services import audit_read, replays
from exchange.hub.services.audit_disclosures import forget
from exchange.hub.services.hub import Hub
from exchange.hub.services.release import (
    REPLAYED,
    Answer,
    Caller,
    Proof,
    Receipt,
    Trace,
    receipt_for,
    receipt_of_error,
    release,
    release_admin,
)
from exchange.hub.services.unit import Unit
from exchange.hub.sql import together
from exchange.log.checkpoint import vkey
from exchange.log.commitment import commitment
from exchange.log.proof import verify_entry
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import (
    AuditUnavailable,
    ConsentExpired,
    ExchangeError,
    NotFound,
    StorageFull,
    Unauthorized,
)
from exchange_schemas.ids import AgencyId

NewCaller = Callable[..., Caller]
TRACE = Trace(Act.GRANT_FETCH)


def allow(unit: Unit) -> Answer:
    return Answer({"done": True}, TRACE)


def refuse(unit: Unit) -> Answer:
    """Changes something first, so that a test can see it taken back."""
    replays.revoke_token(unit.conn, "changed", expires=unit.now)
    raise ConsentExpired("the consent has expired", rule="C05-time")


def refused(hub: Hub, caller: Caller, work: Callable[[Unit], Answer] = refuse) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        release(hub, caller, TRACE, work)
    return caught.value


def size(hub: Hub) -> int:
    with reading(hub.engine) as conn:
        return audit_read.size(conn)


def count(hub: Hub, table: Table) -> int:
    with reading(hub.engine) as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def checked(hub: Hub, receipt: Receipt | None) -> Entry:
    """The entry of a receipt that verifies with the log's public key alone."""
    assert receipt is not None
    key = vkey(hub.settings.audit_log, hub.keys.audit_log.public.raw)
    verify_entry(receipt.entry, receipt.proof, [key], origin=hub.settings.audit_log)
    entry = Entry.from_bytes(receipt.entry)
    assert entry.id == receipt.entry_id
    return entry


def test_an_answer_leaves_with_a_receipt_that_verifies_and_an_entry_that_says_it(
    hub: Hub, new_caller: NewCaller
) -> None:
    caller = new_caller("agency-b")
    trace = Trace(
        Act.GRANT_FETCH,
        own=(AgencyId("agency-c"), AgencyId("agency-a")),
        knd="match_inquiry",
        fld=("name", "birth"),
        pur="trace",
        family="f" * 22,
        eid="e" * 22,
        pol="C01-status",
    )
    released = release(
        hub, caller, TRACE, lambda _unit: Answer({"x": 1}, trace, status=201, headers={"A": "b"})
    )
    assert (released.body, released.status, released.headers) == ({"x": 1}, 201, {"A": "b"})
    entry = checked(hub, released.receipt)
    assert (entry.act, entry.out, entry.rsn, entry.org) == (Act.GRANT_FETCH, "allow", None, "agency-b")
    assert entry.own == ("agency-a", "agency-b", "agency-c")
    assert (entry.knd, entry.fld, entry.pur, entry.pol) == (
        "match_inquiry",
        ("birth", "name"),
        "trace",
        "C01-status",
    )
    assert entry.log == "exchange.example/audit"
    assert entry.req == b64u(sha256(caller.proof.compact.encode()))
    with reading(hub.engine) as conn:
        rows = conn.execute(select(log_disclosure).where(log_disclosure.c.entry_id == entry.id)).all()
    kept = {row.name: (row.salt, row.value) for row in rows}
    assert kept["req"] == (b"", caller.proof.compact)
    assert entry.cns == commitment("cns", *kept["cns"])
    assert entry.rec == commitment("rec", *kept["rec"])
    assert (kept["cns"][1], kept["rec"][1]) == ("f" * 22, "e" * 22)


def test_a_denial_takes_its_changes_back_and_keeps_proof_and_entry(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller()
    error = refused(hub, caller)
    assert isinstance(error, ConsentExpired)
    entry = checked(hub, receipt_of_error(error))
    assert (entry.act, entry.out, entry.rsn, entry.pol) == (
        Act.GRANT_FETCH,
        "deny",
        "CONSENT_EXPIRED",
        "C05-time",
    )
    assert (size(hub), count(hub, replay)) == (1, 1)
    with reading(hub.engine) as conn:
        assert together(conn, replays.asking_revoked("changed"))[0].rows == []


def test_a_denied_proof_used_again_is_a_replay(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller()
    refused(hub, caller)
    error = refused(hub, caller, allow)
    assert isinstance(error, Unauthorized)
    assert error.rule == REPLAYED
    entry = checked(hub, receipt_of_error(error))
    assert (entry.out, entry.rsn) == ("deny", "REPLAY")


def test_a_replayed_proof_never_reaches_the_service(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller()
    release(hub, caller, TRACE, allow)
    assert refused(hub, caller, lambda _unit: pytest.fail("served")).rule == REPLAYED


def test_a_second_thing_that_the_request_uses_up_is_kept_by_a_denial_too(
    hub: Hub, new_caller: NewCaller
) -> None:
    assertion = b"\x07" * 32, new_caller().proof.expires
    first, second = new_caller(), new_caller()
    refused(hub, replace(first, proof=replace(first.proof, also=(assertion,))))
    again = replace(second, proof=replace(second.proof, also=(assertion,)))
    assert refused(hub, again, allow).rule == REPLAYED
    # The fresh proof that came with it is used up as well.
    assert refused(hub, second, allow).rule == REPLAYED


def test_a_revoked_token_is_refused_and_logged_and_spends_the_proof(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller(token_jti="gone")
    with writing(hub.engine) as conn:
        replays.revoke_token(conn, "gone", expires=caller.proof.expires)
        replays.revoke_token(conn, "gone", expires=caller.proof.expires)
    error = refused(hub, caller, allow)
    assert (error.code, error.rule) == ("UNAUTHORIZED", "token-revoked")
    assert checked(hub, receipt_of_error(error)).rsn == "UNAUTHORIZED"
    assert refused(hub, caller, allow).rule == REPLAYED


def test_without_a_token_no_revocation_is_asked_for(hub: Hub, new_caller: NewCaller) -> None:
    with writing(hub.engine) as conn:
        replays.revoke_token(conn, "", expires=hub.clock())
    assert release(hub, new_caller(token_jti=""), TRACE, allow).receipt is not None


def test_a_failure_of_the_service_is_an_error_in_the_log(hub: Hub, new_caller: NewCaller) -> None:
    def full(_unit: Unit) -> Answer:
        raise StorageFull("the volume for parts is full")

    entry = checked(hub, receipt_of_error(refused(hub, new_caller(), full)))
    assert (entry.out, entry.rsn) == ("error", "STORAGE_FULL")


def test_an_unexpected_failure_leaves_nothing_behind(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller()

    def broken(_unit: Unit) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        release(hub, caller, TRACE, broken)
    assert (size(hub), count(hub, replay), count(hub, log_entry)) == (0, 0, 0)
    assert release(hub, caller, TRACE, allow).receipt is not None


def test_an_unlogged_answer_still_spends_its_proof(hub: Hub, new_caller: NewCaller) -> None:
    caller = new_caller()
    released = release(hub, caller, TRACE, lambda _unit: Answer({}, TRACE, status=304, logged=False))
    assert released.receipt is None
    assert size(hub) == 0
    assert refused(hub, caller, allow).rule == REPLAYED


def test_a_trace_that_no_entry_may_hold_gives_no_answer(hub: Hub, new_caller: NewCaller) -> None:
    wrong = Trace(Act.GRANT_FETCH, knd="Not A Kind")
    with pytest.raises(AuditUnavailable):
        release(hub, new_caller(), TRACE, lambda _unit: Answer({}, wrong))
    with pytest.raises(AuditUnavailable):
        release(hub, new_caller(), wrong, refuse)
    assert (size(hub), count(hub, replay)) == (0, 0)


def test_a_rule_that_is_no_tag_is_left_out_of_the_entry(hub: Hub, new_caller: NewCaller) -> None:
    def odd(_unit: Unit) -> Answer:
        raise ConsentExpired("expired", rule="not a tag")

    assert checked(hub, receipt_of_error(refused(hub, new_caller(), odd))).pol is None


def test_a_receipt_asked_for_later_is_the_same_bytes(hub: Hub, new_caller: NewCaller) -> None:
    receipts = [release(hub, new_caller(), TRACE, allow).receipt for _ in range(5)]
    for receipt in receipts:
        assert receipt is not None
        assert receipt_for(hub, receipt.entry_id) == receipt
    with pytest.raises(NotFound):
        receipt_for(hub, "x" * 22)


def test_an_answer_given_again_bears_the_first_receipt_and_is_logged_itself(
    hub: Hub, new_caller: NewCaller
) -> None:
    first = release(hub, new_caller(), TRACE, allow).receipt
    assert first is not None
    again = release(hub, new_caller(), TRACE, lambda _unit: Answer({}, TRACE, receipt_of=first.entry_id))
    assert again.receipt == first
    assert size(hub) == 2


def test_the_service_knows_the_id_of_its_entry(hub: Hub, new_caller: NewCaller) -> None:
    seen: list[str] = []

    def look(unit: Unit) -> Answer:
        seen.append(unit.entry_id)
        return Answer({}, TRACE)

    receipt = release(hub, new_caller(), TRACE, look).receipt
    assert receipt is not None
    assert seen == [receipt.entry_id]


def test_an_administrators_act_is_logged_under_the_operator(hub: Hub) -> None:
    trace = Trace(Act.AGENCY_ADMIT, own=(AgencyId("agency-a"),))
    entry = checked(hub, release_admin(hub, "operator-1", trace, lambda _unit: Answer({}, trace)).receipt)
    assert (entry.org, entry.opr, entry.req, entry.own) == (None, "operator-1", None, ("agency-a",))
    with pytest.raises(ConsentExpired) as caught:
        release_admin(hub, "operator-1", trace, refuse)
    assert checked(hub, receipt_of_error(caught.value)).opr == "operator-1"


def test_entries_about_one_family_can_be_grouped_and_erasure_ends_that_and_breaks_nothing(
    hub: Hub, new_caller: NewCaller
) -> None:
    def about(family: str) -> tuple[Receipt, Entry]:
        trace = replace(TRACE, family=family)
        receipt = release(hub, new_caller(), TRACE, lambda _unit: Answer({}, trace)).receipt
        assert receipt is not None
        return receipt, checked(hub, receipt)

    (receipt, first), (_, second), (_, other) = about("a" * 22), about("a" * 22), about("b" * 22)
    assert first.cns == second.cns != other.cns
    assert count(hub, log_salt) == 2
    forget(hub, "asha", "cns", "a" * 22)
    assert receipt_for(hub, receipt.entry_id) == receipt
    with reading(hub.engine) as conn:
        left = (
            conn.execute(select(log_disclosure.c.value).where(log_disclosure.c.name == "cns")).scalars().all()
        )
    assert left == ["b" * 22]
    assert about("a" * 22)[1].cns != first.cns


def test_expired_proofs_are_pruned_now_and_then_and_others_never(hub: Hub, new_caller: NewCaller) -> None:
    now = hub.clock()
    with writing(hub.engine) as conn:
        for n in range(1, 6):
            together(
                conn,
                replays.spending(bytes([n]) * 32, now - timedelta(minutes=10)),
                replays.spending(bytes([n + 100]) * 32, now - timedelta(seconds=10)),
            )
    # Those that follow it are looked at: the first of the five stays.
    proof = Proof(b"\x01" * 31 + b"\x02", now + timedelta(minutes=2), "a.b.c")
    release(hub, new_caller(proof=proof), TRACE, allow)
    assert count(hub, replay) == 11
    proof = Proof(b"\x02" * 31 + b"\x00", now + timedelta(minutes=2), "a.b.c")
    release(hub, new_caller(proof=proof), TRACE, allow)
    assert count(hub, replay) == 12 - 4


def test_an_integrity_error_in_the_service_is_a_bug_and_not_an_answer(
    hub: Hub, new_caller: NewCaller
) -> None:
    def twice(unit: Unit) -> Answer:
        for _ in range(2):
            unit.conn.execute(text("INSERT INTO audit_pull VALUES ('p', 'agency-a', 1, 1, 'x')"))
        return Answer({}, TRACE)

    with pytest.raises(Exception, match=r"(?i)unique"):
        release(hub, new_caller(), TRACE, twice)
    assert size(hub) == 0
