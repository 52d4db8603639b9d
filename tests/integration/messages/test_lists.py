"""Inbox, outbox, heads and recipients' receipts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from exchange.hub.models.envelopes import grant
from exchange.hub.services import inbox, outbox
from exchange.hub.services.release import Released
from exchange_keys.envelope import SealedEnvelope
from exchange_schemas.errors import (
    Conflict,
    ExchangeError,
    KeyRevoked,
    Malformed,
    ManifestMismatch,
    NotFound,
    OriginMismatch,
    Replay,
    SenderMismatch,
    SigInvalid,
)
from exchange_schemas.ids import AgencyId, Digest, GrantId
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import EVIDENCE, MovingClock, World
from tests.integration.messages.edits import core_of, grant_of


@pytest.fixture
def world(shared: World) -> World:
    return shared


def look(
    world: World, agency: Agency, *, cursor: str | None = None, limit: int = 100, tags: str | None = None
) -> Released:
    return inbox.listing(world.hub, world.caller(agency), cursor=cursor, limit=limit, tags=tags)


def items(released: Released) -> list[dict[str, Any]]:
    return list(released.body["items"])  # type: ignore[arg-type]


def sent(world: World, agency: Agency) -> list[dict[str, Any]]:
    return items(outbox.listing(world.hub, world.caller(agency), cursor=None, limit=100))


def gid_of(sealed: SealedEnvelope, rcp: Agency) -> GrantId:
    return GrantId(grant_of(sealed, rcp).gid)


# -- inbox -----------------------------------------------------------------------------------------


def test_the_inbox_shows_what_the_hub_may_know(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    core = core_of(grant_of(sealed, embassy).core)
    (item,) = items(look(world, embassy))
    assert item == {
        "gid": core.gid,
        "eid": core.eid,
        "kind": "found_notice",
        "snd": ngo.id,
        "thread": core.thread,
        "pur": "trace",
        "iat": f"{core.iat:%Y-%m-%dT%H:%M:%SZ}",
        "exp": f"{core.exp:%Y-%m-%dT%H:%M:%SZ}",
        "seq": 1,
        "digest": grant_of(sealed, embassy).digest,
        "state": "waiting",
        "rcp_kid": core.rcp_kid,
    }


def test_the_inbox_is_the_recipients_alone(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    world.send(ngo, world.consent(ngo, embassy))
    assert items(look(world, commission)) == []
    # The sender's grant for itself is no news to it.
    assert items(look(world, ngo)) == []


def test_pages_follow_one_another_without_gap_or_repetition(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    expected = []
    for snd in (ngo, commission, ngo, ngo, commission):
        expected.append(gid_of(world.send(snd, world.consent(snd, embassy)), embassy))
    found: list[str] = []
    cursor, more = None, True
    while more:
        page = look(world, embassy, cursor=cursor, limit=2)
        found += [item["gid"] for item in items(page)]
        cursor, more = str(page.body["next"]), bool(page.body["more"])
    assert found == expected
    # What comes later is found from the last cursor on.
    new = gid_of(world.send(ngo, world.consent(ngo, embassy)), embassy)
    assert [item["gid"] for item in items(look(world, embassy, cursor=cursor))] == [new]


def test_nothing_new_is_not_logged_and_something_new_is(world: World, ngo: Agency, embassy: Agency) -> None:
    before = world.log_size()
    empty = look(world, embassy)
    assert (empty.receipt, empty.headers["Retry-After"]) == (None, "30")
    assert world.log_size() == before
    world.send(ngo, world.consent(ngo, embassy))
    page = look(world, embassy, cursor=str(empty.body["next"]))
    assert page.receipt is not None
    assert world.last().act == "inbox:list"
    after = look(world, embassy, cursor=str(page.body["next"]))
    assert (items(after), after.receipt) == ([], None)


def test_more_is_to_be_fetched_at_once(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    for _ in range(2):
        world.send(ngo, given)
    page = look(world, embassy, limit=1)
    assert (page.body["more"], page.headers["Retry-After"]) == (True, "0")


def test_an_unchanged_page_is_answered_with_304_and_not_logged(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    page = look(world, embassy)
    tag = page.headers["ETag"]
    for tags in (tag, f'"other", W/{tag}'):
        same = look(world, embassy, tags=tags)
        assert (same.status, same.body, same.receipt) == (304, {}, None)
        assert same.headers["ETag"] == tag
    assert look(world, embassy, tags='"other"').status == 200
    # A change of state is a change of the page.
    world.fetch(embassy, gid_of(sealed, embassy))
    changed = look(world, embassy, tags=tag)
    assert (changed.status, items(changed)[0]["state"]) == (200, "fetched")


def test_the_tag_is_the_callers_own(world: World, ngo: Agency, embassy: Agency, commission: Agency) -> None:
    tag = look(world, embassy).headers["ETag"]
    assert look(world, commission, tags=tag).status == 200


def test_a_cursor_that_was_altered_or_is_anothers_is_malformed(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    cursor = str(look(world, embassy).body["next"])
    bad = [cursor[:-1], cursor + "A", "", "!", ("B" if cursor[0] == "A" else "A") + cursor[1:]]
    for text in bad:
        with pytest.raises(Malformed):
            look(world, embassy, cursor=text)
    with pytest.raises(Malformed):
        look(world, commission, cursor=cursor)
    with pytest.raises(Malformed):
        outbox.listing(world.hub, world.caller(embassy), cursor=cursor, limit=1)


def test_a_dead_grant_is_shown_as_dead(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    world.send(ngo, given)
    world.withdraw(given)
    assert [item["state"] for item in items(look(world, embassy))] == ["dead"]


def test_a_waiting_grant_past_its_consent_is_shown_as_dead(make_world: Callable[..., World]) -> None:
    clock = MovingClock()
    world = make_world(clock=clock, travel=True)
    ngo, embassy = world.agencies["ngo"], world.agencies["embassy"]
    world.send(ngo, world.consent(ngo, embassy, exp=world.now + timedelta(days=3)))
    assert [item["state"] for item in items(look(world, embassy))] == ["waiting"]
    clock.shift = timedelta(days=3, minutes=1)
    assert [item["state"] for item in items(look(world, embassy))] == ["dead"]


# -- outbox ----------------------------------------------------------------------------------------


def test_the_outbox_shows_what_became_of_each_grant(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy), world.consent(ngo, commission))
    world.fetch(embassy, gid_of(sealed, embassy))
    receipt = world.sign_receipt(sealed, embassy)
    world.submit(embassy, gid_of(sealed, embassy), receipt)
    found = {item["rcp"]: item for item in sent(world, ngo)}
    assert {name: item["state"] for name, item in found.items()} == {
        embassy.id: "receipted",
        commission.id: "waiting",
        ngo.id: "waiting",
    }
    assert found[embassy.id]["receipt"] == receipt.to_json()
    assert "receipt" not in found[commission.id]
    assert sent(world, embassy) == []


def test_the_outbox_is_paged(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    expected = [item.gid for _ in range(3) for item in world.send(ngo, given).grants]
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = outbox.listing(world.hub, world.caller(ngo), cursor=cursor, limit=4)
        found += [item["gid"] for item in items(page)]
        if page.body["next"] is None:
            break
        cursor = str(page.body["next"])
    assert found == expected


def test_heads_are_the_callers_own_chains(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    given = world.consent(ngo, embassy)
    world.send(ngo, given)
    sealed = world.send(ngo, given)
    asked = [embassy.id, commission.id, AgencyId("nobody-here")]
    found = outbox.heads(world.hub, world.caller(ngo), asked).body["heads"]
    assert found == {embassy.id: {"seq": 2, "digest": grant_of(sealed, embassy).digest}}
    assert outbox.heads(world.hub, world.caller(commission), asked).body["heads"] == {}


# -- receipts --------------------------------------------------------------------------------------


@pytest.fixture
def fetched(world: World, ngo: Agency, embassy: Agency) -> SealedEnvelope:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    world.fetch(embassy, gid_of(sealed, embassy))
    return sealed


def test_the_same_receipt_again_gives_the_first_answer(
    world: World, embassy: Agency, fetched: SealedEnvelope
) -> None:
    signed = world.sign_receipt(fetched, embassy)
    first = world.submit(embassy, gid_of(fetched, embassy), signed)
    world.set_key(embassy.envelope.public, "revoked")
    again = world.submit(embassy, gid_of(fetched, embassy), signed)
    assert (again.status, again.receipt) == (200, first.receipt)


def test_a_second_other_receipt_is_a_replay(world: World, embassy: Agency, fetched: SealedEnvelope) -> None:
    gid = gid_of(fetched, embassy)
    world.submit(embassy, gid, world.sign_receipt(fetched, embassy))
    other = world.sign_receipt(fetched, embassy, outcome="refused", code="DECRYPT_FAILED")
    with pytest.raises(Replay):
        world.submit(embassy, gid, other)


def test_a_refusal_is_a_receipt_too(
    world: World, ngo: Agency, embassy: Agency, fetched: SealedEnvelope
) -> None:
    signed = world.sign_receipt(fetched, embassy, outcome="refused", code="PART_DIGEST")
    world.submit(embassy, gid_of(fetched, embassy), signed)
    assert next(item for item in sent(world, ngo) if item["rcp"] == embassy.id)["receipt"] == signed.to_json()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"origin": "test.example"}, OriginMismatch),
        ({"grant": Digest(EVIDENCE)}, ManifestMismatch),
        ({"gid": GrantId("A" * 22)}, ManifestMismatch),
        ({"snd": AgencyId("somebody-else")}, ManifestMismatch),
        ({"rcp": AgencyId("somebody-else")}, SenderMismatch),
    ],
)
def test_a_receipt_is_for_the_very_grant(
    world: World,
    embassy: Agency,
    fetched: SealedEnvelope,
    changes: dict[str, Any],
    error: type[ExchangeError],
) -> None:
    with pytest.raises(error):
        world.submit(embassy, gid_of(fetched, embassy), world.sign_receipt(fetched, embassy, **changes))
    assert world.last().rsn == error.code


def test_a_receipt_is_signed_by_an_active_key_of_the_recipient(
    world: World, embassy: Agency, fetched: SealedEnvelope
) -> None:
    signed = world.sign_receipt(fetched, embassy)
    world.set_key(embassy.envelope.public, "revoked")
    with pytest.raises(KeyRevoked):
        world.submit(embassy, gid_of(fetched, embassy), signed)


def test_a_receipt_with_another_payload_is_refused(
    world: World, embassy: Agency, fetched: SealedEnvelope
) -> None:
    good = world.sign_receipt(fetched, embassy)
    other = world.sign_receipt(fetched, embassy, outcome="refused", code="MALFORMED")
    forged = type(good)(good.payload, other.signatures)
    with pytest.raises(SigInvalid):
        world.submit(embassy, gid_of(fetched, embassy), forged)


def test_only_the_recipient_gives_a_receipt(
    world: World, ngo: Agency, commission: Agency, embassy: Agency, fetched: SealedEnvelope
) -> None:
    gid = gid_of(fetched, embassy)
    with pytest.raises(SenderMismatch):
        world.submit(ngo, gid, world.sign_receipt(fetched, embassy))
    own = world.sign_receipt(fetched, embassy, rcp=commission.id)
    with pytest.raises(NotFound):
        world.submit(commission, gid, own)


def test_what_was_not_fetched_gets_no_receipt(world: World, ngo: Agency, embassy: Agency) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    with pytest.raises(Conflict):
        world.submit(embassy, gid_of(sealed, embassy), world.sign_receipt(sealed, embassy))
    row = next(row for row in world.rows(grant) if row.gid == gid_of(sealed, embassy))
    assert (row.state, row.receipt) == ("waiting", None)


def test_what_was_fetched_before_the_withdrawal_may_still_get_its_receipt(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    world.fetch(embassy, gid_of(sealed, embassy))
    world.withdraw(given)
    signed = world.sign_receipt(sealed, embassy)
    assert world.submit(embassy, gid_of(sealed, embassy), signed).status == 200
