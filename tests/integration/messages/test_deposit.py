"""Depositing: what is kept, the same manifest again, later manifests, the chains."""

from dataclasses import replace
from typing import Any

import pytest

from exchange.hub.models.envelopes import chain_head, grant, mailbox, manifest
from exchange.hub.models.parts import part
from exchange.hub.services import deposit, deposit_authority
from exchange_keys.envelope import Recipient, SealedEnvelope, UnlockedGrant, regrant, unlock_grant
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u, sha256, unb64u
from exchange_schemas.envelope import NO_PREVIOUS
from exchange_schemas.errors import (
    FieldDenied,
    ManifestMismatch,
    Replay,
    SeqConflict,
    TooLarge,
)
from exchange_schemas.limits import LIMITS
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import FOUND, REFERRAL, REFERRED, GivenConsent, World
from tests.integration.messages.edits import body_of, core_of, edited, grant_of, signed_request


@pytest.fixture
def world(shared: World) -> World:
    return shared


def held(sealed: SealedEnvelope, snd: Agency) -> UnlockedGrant:
    """The sender's own grant, opened."""
    item = grant_of(sealed, snd)
    return unlock_grant(item.core, item.sealed, snd.enc)


def later(
    world: World, snd: Agency, sealed: SealedEnvelope, rcp: Agency, given: GivenConsent | None, **changes: Any
) -> SealedEnvelope:
    """A supplementary manifest that grants the envelope to one more recipient."""
    eid = core_of(sealed.grants[0].core).eid
    recipient = world.recipient(snd, rcp, given, **changes)
    return regrant(world.draft(snd, eid=eid), held(sealed, snd), [recipient], snd.envelope)


def test_a_deposit_keeps_what_was_sent_byte_for_byte(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    done = world.deposit(ngo, sealed)
    assert done.status == 201
    assert done.body == {
        "eid": core_of(sealed.grants[0].core).eid,
        "manifest": b64u(sha256(sealed.manifest.payload)),
        "grants": [{"gid": item.gid, "rcp": item.rcp, "seq": 1} for item in sealed.grants],
    }
    rows = {row.gid: row for row in world.rows(grant)}
    for item in sealed.grants:
        assert (rows[item.gid].core, rows[item.gid].sealed) == (item.core, item.sealed)
        assert rows[item.gid].state == "waiting"
    assert {row.sha256: row.ct for row in world.rows(part)} == sealed.parts


def test_a_deposit_leaves_one_entry_that_says_who_what_and_why(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    world.send(ngo, world.consent(ngo, embassy), world.consent(ngo, commission))
    entry = world.last()
    assert (entry.act, entry.out, entry.org) == ("envelope:deposit", "allow", ngo.id)
    assert (entry.knd, entry.pur) == ("found_notice", "trace")
    assert entry.own == (commission.id, embassy.id, ngo.id)
    assert entry.fld == tuple(sorted(FOUND))
    assert entry.rec is not None


def test_the_same_manifest_again_gives_the_first_answer_and_receipt(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    first = world.deposit(ngo, sealed)
    # However much has changed since: the envelope was taken.
    world.withdraw(given)
    world.set_key(ngo.envelope.public, "revoked")
    again = world.deposit(ngo, sealed)
    assert (again.status, again.body, again.receipt) == (200, first.body, first.receipt)
    assert world.count(manifest) == 1
    assert world.count(grant) == 2


def test_the_same_manifest_again_is_known_without_its_grants(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    first = world.deposit(ngo, sealed)
    bare = {**body_of(sealed), "grants": [], "parts": []}
    assert deposit.deposit(world.hub, world.caller(ngo), bare).receipt == first.receipt


def test_another_first_manifest_of_an_envelope_is_a_replay(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    given = world.consent(ngo, embassy)
    draft = world.draft(ngo)
    world.deposit(ngo, world.seal(ngo, [world.recipient(ngo, embassy, given)], draft))
    other = world.seal(ngo, [world.recipient(ngo, embassy, given)], draft)
    with pytest.raises(Replay):
        world.deposit(ngo, other)
    assert world.count(manifest) == 1


def test_the_chain_goes_on_from_the_last_grant(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    for _ in range(3):
        sealed = world.send(ngo, given)
    heads = {row.rcp: row for row in world.rows(chain_head)}
    assert (heads[embassy.id].seq, heads[embassy.id].digest) == (3, grant_of(sealed, embassy).digest)
    assert heads[ngo.id].seq == 3
    assert {row.agency: row.position for row in world.rows(mailbox)} == {ngo.id: 7, embassy.id: 4}


@pytest.mark.parametrize("wrong", ["replayed", "gap", "prev"])
def test_a_grant_out_of_its_place_gets_the_head_of_its_chain(
    world: World, ngo: Agency, embassy: Agency, wrong: str
) -> None:
    given = world.consent(ngo, embassy)
    for _ in range(2):
        last = world.send(ngo, given)
    seq, prev = {
        "replayed": (2, core_of(grant_of(last, embassy).core).prev),
        "gap": (4, grant_of(last, embassy).digest),
        "prev": (3, grant_of(last, ngo).digest),
    }[wrong]
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given, seq=seq, prev=prev)])
    with pytest.raises(SeqConflict) as caught:
        deposit.deposit(world.hub, world.caller(ngo), body_of(sealed))
    head: Any = caught.value.detail["head"]
    item = grant_of(last, embassy)
    assert list(head) == [embassy.id]
    assert head[embassy.id] == {
        "seq": 2,
        "digest": item.digest,
        "core": b64u(item.core),
        "sealed": b64u(item.sealed),
        "manifest": last.manifest.to_json(),
    }
    assert world.count(grant) == 4
    # What the sender learnt is enough to go on.
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given, seq=3, prev=head[embassy.id]["digest"])])
    assert world.deposit(ngo, sealed).status == 201


def test_a_chain_that_never_began_has_an_empty_head(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    item = world.recipient(ngo, embassy, given, seq=2, prev=given.digest)
    with pytest.raises(SeqConflict) as caught:
        deposit.deposit(world.hub, world.caller(ngo), body_of(world.seal(ngo, [item])))
    head: Any = caught.value.detail["head"]
    assert (head[embassy.id]["seq"], head[embassy.id]["digest"]) == (0, NO_PREVIOUS)


def test_the_head_of_a_chain_can_be_checked_after_it_died(world: World, ngo: Agency, embassy: Agency) -> None:
    given, other = world.consent(ngo, embassy), world.consent(ngo, embassy)
    last = world.send(ngo, given)
    world.withdraw(given)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, other, seq=1, prev=NO_PREVIOUS)])
    with pytest.raises(SeqConflict) as caught:
        deposit.deposit(world.hub, world.caller(ngo), body_of(sealed))
    head: Any = caught.value.detail["head"]
    assert unb64u(head[embassy.id]["sealed"], field="sealed") == grant_of(last, embassy).sealed


# -- later manifests -------------------------------------------------------------------------------


def test_a_later_manifest_grants_to_one_more_recipient(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    more = later(world, ngo, sealed, commission, world.consent(ngo, commission))
    assert world.deposit(ngo, more).status == 201
    given = world.fetch(commission, grant_of(more, commission).gid)
    assert {item["sha256"] for item in given.body["parts"]} > set(more.parts)  # type: ignore[union-attr,index,call-overload]
    assert all("ct" in item for item in given.body["parts"])  # type: ignore[union-attr,operator]
    assert world.count(manifest) == 2


def test_a_later_manifest_grants_again_after_a_rotation(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.send(ngo, given)
    fresh = EncKey.generate()
    world.add_key(embassy, "enc", fresh.public)
    world.set_key(embassy.enc.public, "draining")
    changes = {"kid": fresh.public.kid, "enc_public_raw": fresh.public.raw}
    assert world.deposit(ngo, later(world, ngo, sealed, embassy, given, **changes)).status == 201


def test_a_later_manifest_grants_to_the_sender_alone_after_its_rotation(
    world: World, ngo: Agency, embassy: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    fresh = EncKey.generate()
    world.add_key(ngo, "enc", fresh.public)
    changes = {"kid": fresh.public.kid, "enc_public_raw": fresh.public.raw}
    assert world.deposit(ngo, later(world, ngo, sealed, ngo, None, **changes)).status == 201


def test_a_later_manifest_brings_no_new_content(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    draft = world.draft(ngo)
    world.deposit(ngo, world.seal(ngo, [world.recipient(ngo, embassy, world.consent(ngo, embassy))], draft))
    other = world.seal(ngo, [world.recipient(ngo, commission, world.consent(ngo, commission))], draft)
    without_own = [(item.core, item.sealed) for item in other.grants if item.rcp != ngo.id]
    body = signed_request(other, without_own, ngo)
    named = {ref.sha256 for ref in core_of(without_own[0][0]).parts}
    body["parts"] = [item for item in body["parts"] if item["sha256"] in named]
    with pytest.raises(ManifestMismatch, match="only grants what its envelope holds"):
        deposit.deposit(world.hub, world.caller(ngo), body)
    assert world.count(manifest) == 1


def test_a_later_manifest_gives_nobody_what_was_sealed_for_another_recipient(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    theirs = next(ref for ref in core_of(grant_of(sealed, embassy).core).parts if ref.f == "child_ref")
    more = later(world, ngo, sealed, commission, world.consent(ngo, commission))
    own = next(ref for ref in core_of(grant_of(more, commission).core).parts if ref.f == "child_ref")

    def name_theirs(core: dict[str, Any]) -> None:
        for ref in core["parts"]:
            if ref["f"] == "child_ref":
                ref.update(p=theirs.p, sha256=theirs.sha256)

    body = edited(more, ngo, name_theirs)
    body["parts"] = [item for item in body["parts"] if item["sha256"] != own.sha256]
    with pytest.raises(FieldDenied) as caught:
        deposit.deposit(world.hub, world.caller(ngo), body)
    assert (caught.value.rule, caught.value.field) == ("per-recipient", "child_ref")
    assert world.count(manifest) == 1


def test_a_late_grant_by_somebody_else_is_refused(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    eid = core_of(sealed.grants[0].core).eid
    given = world.consent(commission, embassy)
    other = world.seal(
        commission, [world.recipient(commission, embassy, given)], world.draft(commission, eid=eid)
    )
    with pytest.raises(Replay):
        world.deposit(commission, other)
    assert world.last().rsn == "REPLAY"
    assert {row.snd for row in world.rows(grant)} == {ngo.id}


def test_a_field_for_one_recipient_is_not_granted_to_a_second_one_later(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    names = REFERRAL
    draft = world.draft(ngo, names, kind="service_referral", purpose="health")
    sent: list[Recipient] = []
    for rcp in (embassy, commission):
        after, thread = world.confirmations(ngo, rcp)
        given = world.consent(ngo, rcp, pur=("health",), fields=REFERRED, after=after)
        sent.append(world.recipient(ngo, rcp, given, fields=names, values={}, thread=thread))
    sealed = world.seal(ngo, sent[:1], draft)
    world.deposit(ngo, sealed)
    more = regrant(draft, held(sealed, ngo), sent[1:], ngo.envelope)
    with pytest.raises(FieldDenied) as caught:
        world.deposit(ngo, more)
    assert (caught.value.rule, caught.value.field) == ("C19-one-recipient", "current_facility")
    # The first recipient may be given it again.
    again = world.recipient(
        ngo,
        embassy,
        None,
        fields=names,
        values={},
        thread=sent[0].thread,
        consent_digest=sent[0].consent_digest,
        subj=sent[0].subj,
    )
    assert world.deposit(ngo, regrant(draft, held(sealed, ngo), [again], ngo.envelope)).status == 201


def test_a_later_manifest_does_not_rename_a_part(
    world: World, ngo: Agency, embassy: Agency, commission: Agency
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    more = later(world, ngo, sealed, commission, world.consent(ngo, commission))

    def exchange_names(core: dict[str, Any]) -> None:
        one, two = (ref for ref in core["parts"] if ref["f"] in ("sex", "age_range"))
        one["f"], two["f"] = two["f"], one["f"]

    with pytest.raises(ManifestMismatch, match="another field of the envelope"):
        deposit.deposit(world.hub, world.caller(ngo), edited(more, ngo, exchange_names))


def test_the_recipients_of_all_manifests_are_counted(
    world: World, ngo: Agency, embassy: Agency, commission: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = world.send(ngo, world.consent(ngo, embassy))
    more = later(world, ngo, sealed, commission, world.consent(ngo, commission))
    monkeypatch.setattr(deposit_authority, "LIMITS", replace(LIMITS, recipients_per_envelope=1))
    with pytest.raises(TooLarge):
        world.deposit(ngo, more)


def test_a_grant_id_is_used_once(world: World, ngo: Agency, embassy: Agency) -> None:
    given = world.consent(ngo, embassy)
    taken = grant_of(world.send(ngo, given), embassy).gid
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    body = edited(sealed, ngo, lambda core: core.update(gid=taken), only=embassy)
    with pytest.raises(Replay, match="gid"):
        deposit.deposit(world.hub, world.caller(ngo), body)
    assert world.count(manifest) == 1


def test_a_deposit_that_waited_for_its_twin_gets_the_first_answer(
    world: World, ngo: Agency, embassy: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = world.consent(ngo, embassy)
    sealed = world.seal(ngo, [world.recipient(ngo, embassy, given)])
    first = world.deposit(ngo, sealed)
    known = deposit._known
    answers = iter([lambda *_: (None, True), known])
    # As if the twin had committed between the look and the lock.
    monkeypatch.setattr(deposit, "_known", lambda *args: next(answers)(*args))  # noqa: PLW0108
    again = world.deposit(ngo, sealed)
    assert (again.status, again.body, again.receipt) == (200, first.body, first.receipt)
