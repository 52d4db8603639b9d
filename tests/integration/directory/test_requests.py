"""What agencies ask of the directory: pages that verify, keys, and events about their own keys."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from exchange.directory.snapshot import DirectoryLog
from exchange.directory.snapshot import Page as ClientPage
from exchange.hub.models.log import log_entry
from exchange.hub.services import directory
from exchange.hub.services.deployment import deployment
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import directory_log
from exchange.hub.services.release import Caller, Released, receipt_of_error
from exchange.hub.services.witnessed import checkpoint
from exchange.log.checkpoint import open_checkpoint, vkey
from exchange_keys.auth_key import AuthKey
from exchange_keys.jws import Signed
from exchange_keys.public import X_WING, PublicKey
from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import (
    Conflict,
    ExchangeError,
    KeyNotActive,
    KeyRevoked,
    KeyWrongUse,
    KidUnknown,
    Malformed,
    NotFound,
    PartMissing,
    Replay,
    SenderMismatch,
    SigInvalid,
    Unavailable,
)
from exchange_schemas.ids import AgencyId, Digest, Kid
from tests.integration.directory.people import Agency, Operators, client_of, second

NewCaller = Callable[..., Caller]


def last_entry(hub: Hub) -> Entry:
    with hub.engine.connect() as conn:
        rows = select(log_entry.c.entry)
        found = conn.execute(rows.order_by(log_entry.c.idx.desc()).limit(1)).scalar_one()
    return Entry.from_bytes(bytes(found))


def post(hub: Hub, caller: Caller, event: Signed, *keys: PublicKey) -> Released:
    """Post an event with the bytes of the keys it brings."""
    return directory.log_event(hub, caller, event.to_json(), {key.kid: b64u(key.raw) for key in keys})


def joined(hub: Hub) -> DirectoryLog:
    """An empty copy of the directory, with the pins of the deployment."""
    pins = deployment(hub)
    governance, key = pins["governance"], pins["directory_vkey"]
    assert isinstance(governance, dict)
    return DirectoryLog.join(hub.settings.origin, pin=Digest(str(governance["pin"])), vkeys=[str(key)])


def follow(hub: Hub, log: DirectoryLog, caller: Callable[[], Caller], *, limit: int) -> DirectoryLog:
    """Take pages until the copy is complete."""
    while True:
        released = directory.read_events(hub, caller(), after=log.state.size, limit=limit)
        log = log.apply(ClientPage.from_json(released.body)).log
        if log.complete:
            return log


# -- pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3, 500])
def test_pages_lead_a_client_to_the_same_state(
    operators: Operators, new_caller: NewCaller, limit: int
) -> None:
    hub = operators.hub
    one, two = operators.admit("ngo-a"), operators.admit("ngo-b")
    operators.suspend(two)
    fresh = EncKey.generate()
    post(hub, new_caller("ngo-a"), one.key(fresh.public, "enc"), fresh.public)
    post(hub, new_caller("ngo-a"), one.drain(one.enc.public.kid))
    root = RootKey.generate()
    post(hub, new_caller("ngo-a"), one.new_root(root), root.public.mldsa65)
    state = follow(hub, joined(hub), new_caller, limit=limit).current()
    with hub.engine.connect() as conn:
        assert (state.size, state.frontier.root()) == directory.position(conn)
        for agency in (one, two):
            assert directory.state_of(conn, agency.id) == state.agency(agency.id)


def test_a_client_goes_on_where_it_stopped(operators: Operators, new_caller: NewCaller) -> None:
    hub = operators.hub
    operators.admit("ngo-a")
    log = follow(hub, joined(hub), new_caller, limit=500)
    operators.admit("ngo-b")
    assert follow(hub, log, new_caller, limit=500).current().agency(AgencyId("ngo-b")) is not None


def test_a_page_with_events_is_logged_and_one_without_is_not(
    operators: Operators, new_caller: NewCaller
) -> None:
    hub = operators.hub
    full = directory.read_events(hub, new_caller("ngo-a"), after=0, limit=500)
    assert full.receipt is not None
    assert (last_entry(hub).act, last_entry(hub).org) == (Act.DIRECTORY_READ, "ngo-a")
    empty = directory.read_events(hub, new_caller("ngo-a"), after=1, limit=500)
    assert (empty.receipt, empty.body["events"], empty.body["size"]) == (None, [], 1)


def test_who_has_seen_more_than_the_hub_is_told_of_a_rollback(
    operators: Operators, new_caller: NewCaller
) -> None:
    with pytest.raises(Conflict, match="fewer events"):
        directory.read_events(operators.hub, new_caller(), after=2, limit=500)


def test_the_checkpoint_is_signed_by_the_directory_log(operators: Operators) -> None:
    hub = operators.hub
    operators.admit("ngo-a")
    key = vkey(hub.settings.directory_log, hub.keys.directory_log.public.raw)
    found = open_checkpoint(checkpoint(hub, directory_log(hub)), [key])
    with hub.engine.connect() as conn:
        assert (found.size, found.root) == directory.position(conn)


def test_there_are_no_pins_before_the_first_event(hub: Hub) -> None:
    with pytest.raises(Unavailable):
        deployment(hub)


# -- keys ----------------------------------------------------------------------------------------------


def test_a_key_is_read_by_its_id_also_when_it_is_revoked(operators: Operators, new_caller: NewCaller) -> None:
    hub = operators.hub
    agency = operators.admit("ngo-a")
    public = agency.envelope.public
    post(hub, new_caller("ngo-a"), agency.revoke(public.kid))
    released = directory.read_key(hub, new_caller("ngo-b"), public.kid)
    assert released.body == {"kid": public.kid, "alg": "Ed25519", "key": b64u(public.raw)}
    assert last_entry(hub).own == ("ngo-a", "ngo-b")


def test_an_unknown_key_is_not_found_and_that_is_logged(operators: Operators, new_caller: NewCaller) -> None:
    with pytest.raises(NotFound):
        directory.read_key(operators.hub, new_caller(), Kid("A" * 43))
    assert (last_entry(operators.hub).act, last_entry(operators.hub).out) == (Act.KEY_READ, "deny")


def test_a_key_is_good_for_its_agency_use_and_time_alone(operators: Operators) -> None:
    hub = operators.hub
    agency, other = operators.admit("ngo-a"), operators.admit("ngo-b")
    kid, now = agency.envelope.public.kid, hub.clock()
    with hub.engine.connect() as conn:

        def key_of(found: Kid = kid, use: str = "envelope", of: Agency = agency, days: int = 0) -> PublicKey:
            return directory.key_of(conn, found, use=use, agency=of.id, now=now + timedelta(days=days))

        assert key_of() == agency.envelope.public
        with pytest.raises(KidUnknown):
            key_of(Kid("A" * 43))
        with pytest.raises(KeyWrongUse):
            key_of(use="approver")
        with pytest.raises(KeyWrongUse):
            key_of(of=other)
        with pytest.raises(KeyNotActive):
            key_of(days=400)
    operators.suspend(agency)
    with hub.engine.connect() as conn, pytest.raises(KeyNotActive):
        directory.key_of(conn, kid, use="envelope", agency=agency.id, now=now)


def test_two_keys_without_a_holder_are_one_person(operators: Operators, new_caller: NewCaller) -> None:
    hub = operators.hub
    agency = operators.admit("ngo-a")
    kids = [agency.approver.public.kid, agency.envelope.public.kid, agency.auth.public.kid]
    with hub.engine.connect() as conn:
        assert directory.holders_of(conn, agency.id, kids[:1]) == {"h-1"}
        assert directory.holders_of(conn, agency.id, kids[1:]) == {""}
        assert directory.holders_of(conn, AgencyId("ngo-b"), kids) == set()


def test_a_stranger_is_no_member(operators: Operators) -> None:
    with operators.hub.engine.connect() as conn:
        with pytest.raises(NotFound):
            directory.agency_of(conn, AgencyId("nobody"))
        assert directory.state_of(conn, AgencyId("nobody")) is None
        kid = EncKey.generate().public.kid
        assert directory.auth_key(conn, AgencyId("nobody"), kid, operators.hub.clock()) is None
        with pytest.raises(NotFound):
            client_of(conn, AgencyId("nobody"), kid, operators.hub.clock())


# -- an agency's own events ----------------------------------------------------------------------------


def test_an_agency_rotates_its_own_keys(operators: Operators, new_caller: NewCaller) -> None:
    hub = operators.hub
    agency = operators.admit("ngo-a")
    fresh = AuthKey.generate("PS256")
    released = post(hub, new_caller("ngo-a"), agency.key(fresh.public, "auth"), fresh.public)
    assert (released.status, released.body) == (201, {"index": 7})
    entry = last_entry(hub)
    assert (entry.act, entry.out, entry.own) == (Act.DIRECTORY_APPEND, "allow", ("ngo-a",))
    post(hub, new_caller("ngo-a"), agency.drain(agency.auth.public.kid))
    with hub.engine.connect() as conn:
        now, old = hub.clock(), agency.auth.public.kid
        assert directory.auth_key(conn, agency.id, fresh.public.kid, now) == fresh.public
        assert directory.auth_key(conn, agency.id, old, now) is None
        assert client_of(conn, agency.id, fresh.public.kid, now)[1] == fresh.public
        assert client_of(conn, agency.id, old, now)[1] is None
        with pytest.raises(KeyNotActive):
            directory.key_of(conn, agency.auth.public.kid, use="auth", agency=agency.id, now=hub.clock())
    post(hub, new_caller("ngo-a"), agency.revoke(agency.auth.public.kid))
    with hub.engine.connect() as conn, pytest.raises(KeyRevoked):
        directory.key_of(conn, agency.auth.public.kid, use="auth", agency=agency.id, now=hub.clock())


def test_a_new_root_ends_the_old_one(operators: Operators, new_caller: NewCaller) -> None:
    hub = operators.hub
    agency = operators.admit("ngo-a")
    root = RootKey.generate()
    post(hub, new_caller("ngo-a"), agency.new_root(root), root.public.mldsa65)
    approver = SigningKey.generate().public
    late = agency.key(approver, "approver", by_root=True, holder="h-2")
    with pytest.raises(KeyRevoked):
        post(hub, new_caller("ngo-a"), late, approver)
    moved = replace(agency, root=root)
    post(hub, new_caller("ngo-a"), moved.key(approver, "approver", by_root=True, holder="h-2"), approver)


def test_another_agencys_event_is_refused_even_when_it_is_well_signed(
    operators: Operators, new_caller: NewCaller
) -> None:
    hub = operators.hub
    agency, thief = operators.admit("ngo-a"), operators.admit("ngo-b")
    with pytest.raises(SenderMismatch) as refusal:
        post(hub, new_caller(thief.id), agency.revoke(agency.enc.public.kid))
    assert receipt_of_error(refusal.value) is not None
    assert (last_entry(hub).org, last_entry(hub).rsn) == ("ngo-b", "SENDER_MISMATCH")


def test_an_agency_posts_no_operators_event(operators: Operators, new_caller: NewCaller) -> None:
    agency = operators.admit("ngo-a")
    with pytest.raises(SenderMismatch):
        post(operators.hub, new_caller("ngo-a"), operators.suspension(agency.id))


def test_a_low_order_enc_key_is_refused_at_registration(operators: Operators, new_caller: NewCaller) -> None:
    agency = operators.admit("ngo-a")
    raw = EncKey.generate().public.raw
    weak = PublicKey(X_WING, raw[:-32] + bytes(32))
    with pytest.raises((KeyWrongUse, Malformed)):
        post(operators.hub, new_caller("ngo-a"), agency.key(weak, "enc"), weak)
    with operators.hub.engine.connect() as conn:
        assert directory.position(conn)[0] == 7


def test_an_event_cannot_be_logged_twice(operators: Operators, new_caller: NewCaller) -> None:
    agency = operators.admit("ngo-a")
    fresh = EncKey.generate().public
    event = agency.key(fresh, "enc")
    post(operators.hub, new_caller("ngo-a"), event, fresh)
    with pytest.raises(Replay):
        post(operators.hub, new_caller("ngo-a"), event, fresh)
    drain = agency.drain(fresh.kid)
    post(operators.hub, new_caller("ngo-a"), drain)
    with pytest.raises(Conflict):
        post(operators.hub, new_caller("ngo-a"), drain)


def test_bytes_must_be_those_of_the_key_and_nothing_else(operators: Operators, new_caller: NewCaller) -> None:
    agency = operators.admit("ngo-a")
    fresh, other = EncKey.generate().public, EncKey.generate().public
    event = agency.key(fresh, "enc").to_json()
    given: list[tuple[dict[str, JsonValue], type[ExchangeError]]] = [
        ({}, PartMissing),
        ({fresh.kid: b64u(other.raw)}, Malformed),
        ({fresh.kid: b64u(fresh.raw), other.kid: b64u(other.raw)}, Malformed),
        ({fresh.kid: "not base64!"}, Malformed),
        ({"kid": b64u(fresh.raw)}, Malformed),
    ]
    for keys, error in given:
        with pytest.raises(error):
            directory.log_event(operators.hub, new_caller("ngo-a"), event, keys)


def test_a_wrong_signer_is_refused(operators: Operators, new_caller: NewCaller) -> None:
    agency = operators.admit("ngo-a")
    fresh = SigningKey.generate().public
    stranger = replace(agency, approver=SigningKey.generate())
    with pytest.raises(KidUnknown):
        post(operators.hub, new_caller("ngo-a"), stranger.key(fresh, "envelope"), fresh)
    clerk = replace(agency, approver=agency.envelope)
    with pytest.raises(KeyWrongUse):
        post(operators.hub, new_caller("ngo-a"), clerk.key(fresh, "envelope"), fresh)
    with pytest.raises(KeyWrongUse):
        post(operators.hub, new_caller("ngo-a"), agency.key(fresh, "approver", holder="h-2"), fresh)


def test_a_changed_payload_is_refused(operators: Operators, new_caller: NewCaller) -> None:
    agency = operators.admit("ngo-a")
    event, other = agency.revoke(agency.enc.public.kid), agency.revoke(agency.auth.public.kid)
    with pytest.raises(SigInvalid):
        post(operators.hub, new_caller("ngo-a"), Signed(event.payload, other.signatures))


def test_a_refused_event_leaves_no_row(operators: Operators, new_caller: NewCaller) -> None:
    hub = operators.hub
    agency = operators.admit("ngo-a")
    with hub.engine.connect() as conn:
        before = directory.position(conn), directory.state_of(conn, agency.id)
    late = agency.key(SigningKey.generate().public, "envelope", iat=second() + timedelta(seconds=500))
    for event in (late, operators.governance()):
        with pytest.raises(ExchangeError):
            post(hub, new_caller("ngo-a"), event)
    with hub.engine.connect() as conn:
        assert (directory.position(conn), directory.state_of(conn, agency.id)) == before
