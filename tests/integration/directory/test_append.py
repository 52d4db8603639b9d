"""Events get into the directory by its rules, in one transaction with what they change and their entry."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from exchange.directory.events import operator
from exchange.hub.models.directory import (
    directory_agency,
    directory_event,
    directory_head,
    directory_key,
    directory_node,
)
from exchange.hub.models.log import log_entry
from exchange.hub.services import directory, directory_append, notices
from exchange.hub.services.agencies import admit, listed, shown
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import decide, governance_now
from exchange.hub.services.release import Answer, Trace, receipt_of_error, release_admin
from exchange.hub.services.unit import Unit
from exchange.hub.sql import together
from exchange.log.tiles import TILE_WIDTH
from exchange.log.tree import root_of
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.signing import SigningKey
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import (
    Conflict,
    ExchangeError,
    KidUnknown,
    Malformed,
    NotFound,
    NotPermitted,
    Replay,
    SenderMismatch,
    SigInvalid,
)
from exchange_schemas.ids import AgencyId
from tests.integration.directory.people import Agency, Operators, second


def entries(hub: Hub) -> list[Entry]:
    """The audit log, in order."""
    rows = select(log_entry.c.entry)
    with hub.engine.connect() as conn:
        found = conn.execute(rows.order_by(log_entry.c.idx)).scalars().all()
    return [Entry.from_bytes(bytes(entry)) for entry in found]


def counts(hub: Hub) -> tuple[int, ...]:
    """How many rows each table of the directory has."""
    tables = (directory_event, directory_agency, directory_key)
    with hub.engine.connect() as conn:
        return tuple(conn.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


# -- governance ----------------------------------------------------------------------------------------


def test_genesis_is_the_first_event_and_is_logged_under_its_operator(operators: Operators) -> None:
    governance = governance_now(operators.hub.engine)
    assert governance is not None
    assert [one.name for one in governance.operators] == ["asha"]
    (entry,) = entries(operators.hub)
    assert (entry.act, entry.out, entry.opr, entry.org) == (Act.HUB_INIT, "allow", "asha", None)


def test_nothing_comes_before_governance(hub: Hub) -> None:
    nobody = Operators(hub, {"asha": SigningKey.generate()})
    with pytest.raises(NotPermitted):
        decide(hub, nobody.admission(Agency.named("ngo-a")))
    assert counts(hub) == (0, 0, 0)


def test_a_second_genesis_by_a_stranger_is_refused(operators: Operators) -> None:
    stranger = Operators(operators.hub, {"eve": SigningKey.generate()})
    with pytest.raises(KidUnknown):
        stranger.govern()
    assert len(entries(operators.hub)) == 1


def test_an_operator_is_added_and_removed_by_those_who_govern(operators: Operators) -> None:
    ben = SigningKey.generate()
    both = {**operators.keys, "ben": ben}
    named = [operator(name, key.public) for name, key in both.items()]
    decide(operators.hub, operators.governance(operators=named))
    decide(operators.hub, operators.governance(operators=named[1:]))
    assert [entry.act for entry in entries(operators.hub)[1:]] == [Act.OPERATOR_ADD, Act.OPERATOR_REMOVE]
    with pytest.raises(KidUnknown):
        operators.admit("ngo-a")


@pytest.mark.parametrize("name", ["hub", "Asha B", "a", "ä" * 3, "x" * 33, "1st"])
def test_an_operators_name_must_fit_the_audit_log(operators: Operators, name: str) -> None:
    named = [operator(name, SigningKey.generate().public)]
    with pytest.raises(Malformed, match="name"):
        decide(operators.hub, operators.governance(operators=named))


def test_an_old_governance_event_cannot_come_again(operators: Operators) -> None:
    ben = operator("ben", SigningKey.generate().public)
    asha = operator("asha", operators.keys["asha"].public)
    first = operators.governance(operators=[asha, ben])
    decide(operators.hub, first)
    decide(operators.hub, operators.governance())
    with pytest.raises(Replay):
        decide(operators.hub, first)


# -- admission -----------------------------------------------------------------------------------------


def test_an_admission_brings_the_agencys_own_keys_in_one_transaction(operators: Operators) -> None:
    agency = operators.admit("ngo-a")
    state = shown(operators.hub.engine, agency.id)
    assert {key.use for key in state.keys.values()} == {"root", "approver", "envelope", "enc", "auth"}
    assert counts(operators.hub) == (7, 1, 6)
    entry = entries(operators.hub)[-1]
    assert (entry.act, entry.out, entry.opr, entry.own) == (Act.AGENCY_ADMIT, "allow", "asha", ("ngo-a",))
    assert [one.agency for one in listed(operators.hub.engine)] == ["ngo-a"]


def test_an_agency_is_admitted_once_and_the_denial_is_logged(operators: Operators) -> None:
    agency = operators.admit("ngo-a")
    before = counts(operators.hub)
    with pytest.raises(Conflict) as refusal:
        admit(operators.hub, operators.admission(agency), agency.bundle())
    assert receipt_of_error(refusal.value) is not None
    assert counts(operators.hub) == before
    entry = entries(operators.hub)[-1]
    assert (entry.out, entry.rsn, entry.opr) == ("deny", "CONFLICT", "asha")


def test_a_key_that_another_agency_has_had_undoes_the_whole_admission(operators: Operators) -> None:
    first = operators.admit("ngo-a")
    second_agency = Agency(AgencyId("ngo-b"), approver=first.approver)
    before = counts(operators.hub)
    with pytest.raises(Replay):
        admit(operators.hub, operators.admission(second_agency), second_agency.bundle())
    assert counts(operators.hub) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Somebody else"},
        {"kind": "embassy"},
        {"country": "AQ"},
        {"public_authority": True},
        {"contact": "desk@elsewhere.example"},
        {"agency": "ngo-b"},
        {"root": "A" * 43},
    ],
)
def test_operators_admit_exactly_what_the_bundle_says(operators: Operators, changes: dict[str, Any]) -> None:
    agency = Agency.named("ngo-a")
    with pytest.raises(Conflict):
        admit(operators.hub, operators.admission(agency, **changes), agency.bundle())
    assert counts(operators.hub) == (1, 0, 0)


def test_a_bundle_for_another_deployment_is_refused(operators: Operators) -> None:
    agency = Agency.named("ngo-a")
    with pytest.raises(ExchangeError) as refusal:
        admit(operators.hub, operators.admission(agency), agency.bundle(origin="other.example"))
    assert refusal.value.code == "ORIGIN"


def test_an_admission_by_the_wrong_key_names_nobody_in_the_log(operators: Operators) -> None:
    agency = Agency.named("ngo-a")
    signed = operators.admission(agency, signers=[SigningKey.generate()])
    with pytest.raises(KidUnknown):
        admit(operators.hub, signed, agency.bundle())
    assert len(entries(operators.hub)) == 1


def test_a_forged_signature_names_nobody_in_the_log(operators: Operators) -> None:
    agency = Agency.named("ngo-a")
    signed, other = operators.admission(agency), operators.admission(agency)
    with pytest.raises(SigInvalid):
        admit(operators.hub, Signed(signed.payload, other.signatures), agency.bundle())
    assert len(entries(operators.hub)) == 1


def test_with_two_needed_one_signature_admits_nobody(hub: Hub) -> None:
    operators = Operators.of(hub, "asha", "ben", k=2)
    agency = Agency.named("ngo-a")
    alone = operators.admission(agency, signers=operators.signers(["ben"]))
    with pytest.raises(SenderMismatch):
        admit(hub, alone, agency.bundle())
    admit(hub, operators.admission(agency), agency.bundle())
    assert entries(hub)[-1].opr == "asha/ben"


def test_operators_sign_no_agencys_events(operators: Operators) -> None:
    agency = operators.admit("ngo-a")
    with pytest.raises(NotPermitted):
        decide(operators.hub, agency.revoke(agency.envelope.public.kid))


def test_an_event_from_the_future_is_refused(operators: Operators) -> None:
    late = second(operators.hub.clock()) + timedelta(seconds=200)
    with pytest.raises(Conflict):
        decide(operators.hub, operators.admission(Agency.named("ngo-a"), iat=late))


# -- standing ------------------------------------------------------------------------------------------


def test_suspension_takes_the_auth_keys_away_and_resuming_gives_them_back(
    operators: Operators,
) -> None:
    hub = operators.hub
    agency = operators.admit("ngo-a")

    def usable() -> PublicKey | None:
        with hub.engine.connect() as conn:
            return directory.auth_key(conn, agency.id, agency.auth.public.kid, hub.clock())

    assert usable() == agency.auth.public
    operators.suspend(agency)
    assert usable() is None
    operators.resume(agency)
    assert usable() == agency.auth.public
    acts = [entry.act for entry in entries(hub)[-2:]]
    assert acts == [Act.AGENCY_SUSPEND, Act.AGENCY_RESUME]


def test_an_auth_key_is_in_force_from_its_first_moment_to_its_last(operators: Operators) -> None:
    agency = operators.admit("ngo-a")
    kid = agency.auth.public.kid
    with operators.hub.engine.connect() as conn:
        state = directory.key_in(conn, kid)
        assert state is not None
        assert state.nbf is not None
        assert state.exp is not None
        tick = timedelta(microseconds=1)
        moments = (state.nbf - tick, state.nbf, state.exp - tick, state.exp)
        found = [directory.auth_key(conn, agency.id, kid, when) for when in moments]
    assert found == [None, agency.auth.public, agency.auth.public, None]


def test_an_old_suspension_cannot_come_again(operators: Operators) -> None:
    agency = operators.admit("ngo-a")
    old = operators.suspension(agency.id)
    decide(operators.hub, old)
    operators.resume(agency)
    with pytest.raises(Replay):
        decide(operators.hub, old)


def test_expulsion_is_final(operators: Operators) -> None:
    agency = operators.admit("ngo-a")
    operators.expel(agency)
    with pytest.raises(Conflict):
        operators.resume(agency)
    with pytest.raises(Conflict):
        admit(operators.hub, operators.admission(agency), agency.bundle())
    assert shown(operators.hub.engine, agency.id).status == "expelled"


def test_an_unknown_agency_is_not_shown(operators: Operators) -> None:
    with pytest.raises(NotFound):
        shown(operators.hub.engine, AgencyId("nobody"))


# -- the log itself ------------------------------------------------------------------------------------


def test_complete_subtrees_are_kept_and_every_past_root_is_known(operators: Operators) -> None:
    hub = operators.hub

    def work(unit: Unit) -> Answer:
        for _ in range(TILE_WIDTH + 10):
            directory_append.append_event(unit, operators.governance(), {})
        return Answer({}, Trace(act=Act.OPERATOR_ADD))

    release_admin(hub, "asha", Trace(act=Act.OPERATOR_ADD), work)
    with hub.engine.connect() as conn:
        rows = conn.execute(select(directory_event.c.leaf).order_by(directory_event.c.idx)).scalars()
        leaves = [bytes(leaf) for leaf in rows]
        nodes = [tuple(row) for row in conn.execute(select(directory_node))]
        for size in (0, 1, 100, TILE_WIDTH, TILE_WIDTH + 1, len(leaves)):
            assert root_at(conn, size) == root_of(leaves[:size])
        assert root_at(conn, len(leaves) + 1) is None
        assert directory.position(conn) == (TILE_WIDTH + 11, root_of(leaves))
    assert nodes == [(8, 0, root_of(leaves[:TILE_WIDTH]))]


def root_at(conn: Connection, size: int) -> bytes | None:
    (asked,) = together(conn, directory.asking_root(size))
    return directory.root_in(asked.rows, size)


def test_the_log_cannot_be_changed_by_mistake(operators: Operators) -> None:
    with pytest.raises(DBAPIError), operators.hub.engine.begin() as conn:
        conn.execute(update(directory_event).values(event=b"{}"))
    with pytest.raises(DBAPIError), operators.hub.engine.begin() as conn:
        conn.execute(delete(directory_event))
    assert counts(operators.hub)[0] == 1


def test_two_operators_commands_at_once_take_turns(operators: Operators) -> None:
    agencies = [Agency.named(f"ngo-{number}") for number in range(4)]
    ready = [(operators.admission(agency), agency.bundle()) for agency in agencies]
    with ThreadPoolExecutor(4) as pool:
        released = list(pool.map(lambda pair: admit(operators.hub, *pair), ready))
    assert sorted(int(str(one.body["index"])) for one in released) == [1, 7, 13, 19]
    with operators.hub.engine.connect() as conn:
        head = conn.execute(select(directory_head.c.size)).scalar_one()
        indexes = conn.execute(select(directory_event.c.idx).order_by(directory_event.c.idx)).scalars().all()
    assert (head, list(indexes)) == (25, list(range(25)))


def commissions(hub: Hub, count: int) -> None:
    """So many commissions that take part, as rows alone."""
    rows = [
        {
            "agency": f"commission-{n:03}",
            "name": "A commission",
            "kind": "commission",
            "country": "XK",
            "public_authority": True,
            "contact": "desk@commission.example",
            "status": "active",
            "root": "A" * 43,
            "standing_since": 0,
        }
        for n in range(count)
    ]
    with hub.engine.begin() as conn:
        conn.execute(insert(directory_agency), rows)


def test_no_more_commissions_take_part_than_can_be_told_of_a_sharing_on_vital_interest(
    operators: Operators,
) -> None:
    hub, last, ngo = operators.hub, Agency.named("commission-z"), Agency.named("ngo-a")
    commissions(hub, notices.MOST - 1)
    admit(hub, operators.admission(last, kind="commission"), last.bundle(kind="commission"))
    one_more = Agency.named("commission-y")
    before = counts(hub)
    with pytest.raises(Conflict) as full:
        admit(hub, operators.admission(one_more, kind="commission"), one_more.bundle(kind="commission"))
    assert (full.value.rule, full.value.field) == ("commissions-told", "kind")
    assert counts(hub) == before
    assert (entries(hub)[-1].out, entries(hub)[-1].pol) == ("deny", "commissions-told")
    # Others are admitted as before, and one that leaves makes room for one.
    admit(hub, operators.admission(ngo), ngo.bundle())
    operators.suspend(last)
    admit(hub, operators.admission(one_more, kind="commission"), one_more.bundle(kind="commission"))
    with pytest.raises(Conflict) as back:
        operators.resume(last)
    assert back.value.rule == "commissions-told"
