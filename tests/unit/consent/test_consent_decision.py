"""The consent decision: one allowance, and for every rule the ways to break it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import exchange.consent as rules
from exchange.consent import (
    NO_POLICY,
    RULES,
    Agreement,
    Allow,
    Confirmation,
    ConsentStanding,
    Decision,
    Deny,
    Party,
    Policy,
    ShareRequest,
    Side,
    Status,
    decide,
    enforce,
)
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening
from exchange_schemas.errors import error_codes, error_for
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, FamilyId, ThreadId

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
CATALOGUE = load_catalogue()
ORIGIN = "homeward.test"
HOLDER = Party(AgencyId("holder"), "ngo", "DE", False)
FINDER = Party(AgencyId("finder"), "ngo", "DE", False)
ABROAD = replace(FINDER, country="TR")
EVIDENCE = Digest("E" * 42 + "A")
SUBJECT = Digest("S" * 42 + "A")
OTHER_CHILD = Digest("T" * 42 + "A")
THREAD = ThreadId("t" * 21 + "A")
OTHER_THREAD = ThreadId("u" * 21 + "A")
ONE, TWO = EnvelopeId("1" * 21 + "A"), EnvelopeId("2" * 21 + "A")
FIELDS = ("child_ref", "name_given", "sex", "age_range", "current_area")


def authority(about: str, basis: str = "best_interests_decision") -> Authority:
    return Authority(about=about, basis=basis, evidence_digest=EVIDENCE)


def consent(**changes: Any) -> Consent:
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "cid": ConsentId("c" * 21 + "A"),
        "family": FamilyId("f" * 21 + "A"),
        "iss": HOLDER.agency,
        "rcp": FINDER.agency,
        "pur": ("trace", "verify"),
        "fields": tuple(sorted((*FIELDS, "relatives", "photo"))),
        "authorities": (authority("child"), authority("relative", "public_task")),
        "screening": Screening(state="not_required"),
        "nbf": NOW - timedelta(days=1),
        "exp": NOW + timedelta(days=30),
        "retention_days": 90,
        "subj": SUBJECT,
        "iat": NOW - timedelta(days=1),
        "record": ConsentRecord(schema_version="1"),
    }
    return Consent(**(values | changes))


def request(**changes: Any) -> ShareRequest:
    values: dict[str, Any] = {
        "origin": ORIGIN,
        "kind": "found_notice",
        "sender": HOLDER.agency,
        "recipient": FINDER.agency,
        "purpose": "trace",
        "fields": FIELDS,
        "thread": THREAD,
        "subj": SUBJECT,
        "eid": EnvelopeId("e" * 21 + "A"),
        "cns": Digest("D" * 42 + "A"),
    }
    return ShareRequest(**(values | changes))


def judge(
    asked: ShareRequest | None = None,
    given_consent: Consent | None = None,
    standing: ConsentStanding | None = None,
    *,
    recipient: Party = FINDER,
    now: datetime = NOW,
    **named: Any,
) -> Decision:
    return decide(
        request() if asked is None else asked,
        consent() if given_consent is None else given_consent,
        ConsentStanding() if standing is None else standing,
        recipient,
        now,
        CATALOGUE,
        **({"sender": HOLDER} | named),
    )


def rule_of(decision: Decision) -> str:
    assert isinstance(decision, Deny)
    return decision.rule


def test_what_the_consent_lists_is_allowed() -> None:
    for side in Side:
        assert judge(side=side) == Allow()
    enforce(judge())


def test_the_consents_used_here_are_ones_that_can_be_signed() -> None:
    assert Consent.from_bytes(consent().to_bytes()) == consent()


# -- one rule after the other --------------------------------------------------------------------------


def test_c01_no_consent_is_unknown() -> None:
    decision = decide(request(), None, ConsentStanding(), FINDER, NOW, CATALOGUE, sender=HOLDER)
    assert rule_of(decision) == "C01-unknown"


def test_c02_a_consent_of_another_deployment_is_refused() -> None:
    assert rule_of(judge(given_consent=consent(origin="other.test"))) == "C02-origin"


def test_c03_the_sender_must_be_the_issuer() -> None:
    third = replace(HOLDER, agency=AgencyId("third"))
    assert rule_of(judge(given_consent=consent(iss=third.agency))) == "C03-issuer"
    assert rule_of(judge(request(sender=third.agency), sender=third)) == "C03-issuer"
    assert rule_of(judge(sender=third)) == "C03-issuer"


def test_c04_the_recipient_must_be_the_consents() -> None:
    third = replace(FINDER, agency=AgencyId("third"))
    assert rule_of(judge(given_consent=consent(rcp=third.agency))) == "C04-recipient"
    assert rule_of(judge(request(recipient=third.agency), recipient=third)) == "C04-recipient"
    assert rule_of(judge(recipient=third)) == "C04-recipient"


def test_c05_a_withdrawn_consent_is_dead_whatever_else_it_says() -> None:
    for newest in (None, consent()):
        assert rule_of(judge(standing=ConsentStanding(Status.WITHDRAWN, newest))) == "C05-withdrawn"


def test_c05_a_status_that_nobody_knows_is_no_allowance() -> None:
    standing = ConsentStanding("revived")  # type: ignore[arg-type]  # what a faulty caller would pass
    assert rule_of(judge(standing=standing)) == "C05-withdrawn"


def test_c05_a_stranger_does_not_learn_that_a_consent_is_withdrawn() -> None:
    third = replace(HOLDER, agency=AgencyId("third"))
    decision = judge(request(sender=third.agency), standing=ConsentStanding(Status.WITHDRAWN), sender=third)
    assert rule_of(decision) == "C03-issuer"


def test_c06_a_superseded_consent_gives_what_the_newest_still_gives() -> None:
    newest = consent(cid=ConsentId("d" * 21 + "A"), fields=tuple(sorted(FIELDS)))
    assert judge(standing=ConsentStanding(Status.SUPERSEDED, newest)) == Allow()


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": ("child_ref", "name_given")},
        {"pur": ("verify",)},
        {"exp": NOW},
        {"nbf": NOW + timedelta(seconds=1)},
        {"rcp": AgencyId("third")},
        {"iss": AgencyId("third")},
        {"subj": OTHER_CHILD},
        {"thread": OTHER_THREAD},
        {"family": FamilyId("g" * 21 + "A")},
        {"origin": "other.test"},
    ],
)
def test_c06_a_superseded_consent_is_dead_where_the_newest_says_less(changes: dict[str, Any]) -> None:
    decision = judge(standing=ConsentStanding(Status.SUPERSEDED, consent(**changes)))
    assert rule_of(decision) == "C06-superseded"


def test_c06_a_superseded_consent_without_its_newest_is_dead() -> None:
    assert rule_of(judge(standing=ConsentStanding(Status.SUPERSEDED))) == "C06-superseded"


def test_c06_a_wider_newest_does_not_widen_the_consent_that_the_grant_names() -> None:
    standing = ConsentStanding(Status.SUPERSEDED, consent())
    assert rule_of(judge(given_consent=consent(exp=NOW), standing=standing)) == "C07-time"
    assert rule_of(judge(given_consent=consent(fields=("child_ref",)), standing=standing)) == "C11-field"


def test_c07_a_consent_is_valid_from_nbf_on_and_no_longer_at_exp() -> None:
    start, end = NOW, NOW + timedelta(hours=1)
    given_consent = consent(nbf=start, exp=end)
    second = timedelta(seconds=1)
    tick = timedelta(microseconds=1)
    for now, allowed in [
        (start - tick, False),
        (start, True),
        (end - tick, True),
        (end, False),
        (end + second, False),
    ]:
        decision = judge(given_consent=given_consent, now=now)
        assert (decision == Allow()) is allowed
        assert allowed or rule_of(decision) == "C07-time"


@pytest.mark.parametrize("side", [Side.SENDER, Side.RECIPIENT])
def test_c07_clients_allow_for_120_seconds_between_the_clocks(side: Side) -> None:
    given_consent = consent(nbf=NOW, exp=NOW + timedelta(hours=1))
    most = timedelta(seconds=120)
    for now, allowed in [
        (NOW - most, True),
        (NOW - most - timedelta(microseconds=1), False),
        (given_consent.exp + most - timedelta(microseconds=1), True),
        (given_consent.exp + most, False),
    ]:
        assert (judge(given_consent=given_consent, now=now, side=side) == Allow()) is allowed


def test_c07_the_last_moment_that_can_be_written_is_a_time_like_any_other() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert judge(given_consent=consent(exp=last), side=Side.RECIPIENT) == Allow()


def test_c08_one_childs_consent_cannot_carry_another_childs_record() -> None:
    assert rule_of(judge(request(subj=OTHER_CHILD))) == "C08-subject"
    assert rule_of(judge(request(subj=None))) == "C08-subject"


def test_c09_a_consent_for_a_thread_is_for_that_thread() -> None:
    assert judge(given_consent=consent(thread=THREAD)) == Allow()
    assert rule_of(judge(given_consent=consent(thread=OTHER_THREAD))) == "C09-thread"


@pytest.mark.parametrize("purpose", ["document", "research", ""])
def test_c10_a_purpose_outside_the_consent_is_refused(purpose: str) -> None:
    assert rule_of(judge(request(purpose=purpose))) == "C10-purpose"


def test_c10_a_purpose_that_the_catalogue_does_not_have_is_refused_even_if_consented() -> None:
    assert rule_of(judge(request(purpose="research"), consent(pur=("research",)))) == "C10-purpose"


def test_c10_a_kind_may_serve_some_purposes_only() -> None:
    answer = request(kind="match_answer", fields=("candidate_ref", "comparison"))
    assert judge(answer) == Allow()
    assert rule_of(judge(replace(answer, purpose="verify"))) == "C10-purpose"


def test_c11_every_field_must_be_in_the_consent_and_the_first_by_name_is_told() -> None:
    narrow = consent(fields=("child_ref", "current_area", "sex"))
    for fields in (FIELDS, FIELDS[::-1]):
        decision = judge(request(fields=fields), narrow)
        assert isinstance(decision, Deny)
        assert (decision.rule, decision.field) == ("C11-field", "age_range")


def test_c12_a_field_serves_its_own_purposes_only() -> None:
    decision = judge(
        request(kind="information_response", purpose="trace", fields=("nationality_claim",)),
        consent(fields=("nationality_claim",)),
    )
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C12-field-purpose", "nationality_claim")


def test_c13_each_subject_needs_an_authority() -> None:
    asked = request(kind="information_response", fields=("relatives",))
    assert judge(asked) == Allow()
    decision = judge(asked, consent(authorities=(authority("child"),)))
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C13-authority", "relatives")


def test_c13_a_field_about_two_subjects_needs_both() -> None:
    asked = request(kind="information_response", purpose="verify", fields=("dna_step",))
    both = consent(fields=("dna_step",))
    assert judge(asked, both) == Allow()
    for about in ("child", "relative"):
        assert rule_of(judge(asked, replace(both, authorities=(authority(about),)))) == "C13-authority"


def test_c13_an_authority_on_a_basis_that_does_not_exist_is_none() -> None:
    assert rule_of(judge(given_consent=consent(authorities=(authority("child", "wish"),)))) == "C13-authority"


def test_c13_only_the_subjects_of_the_fields_that_are_sent_count() -> None:
    assert judge(given_consent=consent(authorities=(authority("child"),))) == Allow()


@pytest.mark.parametrize(
    "sender",
    [
        replace(HOLDER, public_authority=True),
        *(replace(HOLDER, kind=kind) for kind in ("embassy", "authority", "court")),
    ],
)
def test_c14_a_public_authority_cannot_rest_a_transfer_abroad_on_consent(sender: Party) -> None:
    resting = consent(authorities=(authority("child", "consent"),))
    assert rule_of(judge(given_consent=resting, sender=sender, recipient=ABROAD)) == "C14-third-country"
    assert judge(given_consent=resting, sender=sender) == Allow()
    assert judge(given_consent=resting, recipient=ABROAD) == Allow()
    assert judge(sender=sender, recipient=ABROAD) == Allow()


def test_c15_vital_interest_counts_for_72_hours_at_most() -> None:
    resting = consent(
        authorities=(authority("child", "vital_interest"),), nbf=NOW, exp=NOW + timedelta(hours=72)
    )
    assert judge(given_consent=resting) == Allow()
    longer = replace(resting, exp=resting.exp + timedelta(seconds=1))
    assert rule_of(judge(given_consent=longer)) == "C15-vital-interest"
    other = replace(longer, authorities=(*longer.authorities, authority("child", "legal_obligation")))
    assert judge(given_consent=other) == Allow()


PUBLIC = [
    *(replace(FINDER, kind=kind) for kind in ("embassy", "authority", "court")),
    replace(FINDER, public_authority=True),
    replace(FINDER, kind="commission", public_authority=True),
]


@pytest.mark.parametrize("recipient", PUBLIC)
def test_c16_embassies_and_public_authorities_need_a_cleared_screening(recipient: Party) -> None:
    cleared = consent(screening=Screening(state="cleared", evidence_digest=EVIDENCE))
    assert judge(given_consent=cleared, recipient=recipient) == Allow()
    for screening in (
        Screening(state="not_required"),
        Screening(state="cleared"),
        Screening(state="pending", evidence_digest=EVIDENCE),
    ):
        for side in (Side.SENDER, Side.HUB):
            decision = judge(given_consent=consent(screening=screening), recipient=recipient, side=side)
            assert rule_of(decision) == "C16-screening"
        assert (
            judge(given_consent=consent(screening=screening), recipient=recipient, side=Side.RECIPIENT)
            == Allow()
        )


def test_c16_break_glass_does_not_override_screening() -> None:
    urgent = consent(
        authorities=(authority("child", "vital_interest"),), nbf=NOW, exp=NOW + timedelta(hours=1)
    )
    assert rule_of(judge(given_consent=urgent, recipient=PUBLIC[0])) == "C16-screening"


@pytest.mark.parametrize("kind", ["ngo", "health", "un_agency", "commission"])
def test_c16_other_recipients_need_none(kind: str) -> None:
    assert judge(recipient=replace(FINDER, kind=kind)) == Allow()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request(kind="gossip"), "kind"),
        (request(fields=FIELDS[1:]), "child_ref"),
        (request(fields=(*FIELDS, "relatives")), "relatives"),
        (request(fields=(*FIELDS, "candidate_ref")), "candidate_ref"),
        (request(fields=(*FIELDS, "religion")), None),
        (request(fields=()), "child_ref"),
    ],
)
def test_c17_a_message_carries_what_its_kind_needs_and_may_carry(
    asked: ShareRequest, field: str | None
) -> None:
    decision = judge(asked)
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C17-kind", field)
    assert "religion" not in decision.reason


def test_c17_message_fields_need_no_consent_of_their_own() -> None:
    asked = request(kind="information_response", fields=("name_given", "refusals"))
    assert judge(asked, consent(fields=("name_given",))) == Allow()


def confirmation(eid: EnvelopeId, **changes: Any) -> Confirmation:
    mine = eid == ONE
    values: dict[str, Any] = {
        "eid": eid,
        "kind": "match_confirmation",
        "sender": HOLDER.agency if mine else FINDER.agency,
        "recipient": FINDER.agency if mine else HOLDER.agency,
        "thread": THREAD,
        "in_reply_to": None if mine else ONE,
        "decision": "same_child",
    }
    return Confirmation(**(values | changes))


LATE = request(kind="information_response", purpose="care", fields=("current_facility",))
LATE_CONSENT = consent(fields=("current_facility",), pur=("care",), after=(ONE, TWO))


def test_c18_the_place_of_a_child_needs_both_sides_confirmation() -> None:
    both = {ONE: confirmation(ONE), TWO: confirmation(TWO)}
    for side in Side:
        assert judge(LATE, LATE_CONSENT, confirmations=both, side=side) == Allow()
        swapped = replace(LATE_CONSENT, after=(TWO, ONE))
        assert judge(LATE, swapped, confirmations=both, side=side) == Allow()
        answered_first = {ONE: confirmation(ONE, in_reply_to=TWO), TWO: confirmation(TWO, in_reply_to=None)}
        assert judge(LATE, LATE_CONSENT, confirmations=answered_first, side=side) == Allow()


@pytest.mark.parametrize(
    "found",
    [
        {},
        {ONE: confirmation(ONE)},
        {TWO: confirmation(TWO)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, in_reply_to=None)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, in_reply_to=TWO)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, kind="match_answer")},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, thread=OTHER_THREAD)},
        {ONE: confirmation(ONE, thread=OTHER_THREAD), TWO: confirmation(TWO, thread=OTHER_THREAD)},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, sender=AgencyId("third"))},
        {ONE: confirmation(ONE), TWO: confirmation(TWO, recipient=AgencyId("third"))},
        {ONE: confirmation(ONE), TWO: replace(confirmation(ONE), eid=TWO, in_reply_to=ONE)},
        {ONE: confirmation(ONE), TWO: confirmation(ONE)},
    ],
)
def test_c18_anything_less_is_too_early(found: dict[EnvelopeId, Confirmation]) -> None:
    for side in Side:
        decision = judge(LATE, LATE_CONSENT, confirmations=found, side=side)
        assert isinstance(decision, Deny)
        assert (decision.rule, decision.field) == ("C18-stage", "current_facility")


def test_c18_a_consent_without_after_does_not_reach_the_place() -> None:
    both = {ONE: confirmation(ONE), TWO: confirmation(TWO)}
    assert rule_of(judge(LATE, replace(LATE_CONSENT, after=None), confirmations=both)) == "C18-stage"


@pytest.mark.parametrize("decision", ["not_same_child", "unsure", None])
def test_c18_who_can_read_the_confirmations_must_find_agreement(decision: str | None) -> None:
    both = {ONE: confirmation(ONE), TWO: confirmation(TWO, decision=decision)}
    for side in (Side.SENDER, Side.RECIPIENT):
        assert rule_of(judge(LATE, LATE_CONSENT, confirmations=both, side=side)) == "C18-stage"
    assert judge(LATE, LATE_CONSENT, confirmations=both, side=Side.HUB) == Allow()


def test_c20_the_sharing_agreement_of_the_two_kinds_must_allow_it() -> None:
    full = Agreement(frozenset({"trace"}), frozenset(FIELDS))
    assert judge(policy=Policy({("ngo", "ngo"): full})) == Allow()
    assert judge(policy=NO_POLICY) == Allow()
    for policy in (
        Policy({}),
        Policy({("ngo", "court"): full}),
        Policy({("ngo", "ngo"): replace(full, purposes=frozenset({"care"}))}),
    ):
        assert rule_of(judge(policy=policy)) == "C20-policy"
    decision = judge(policy=Policy({("ngo", "ngo"): replace(full, fields=full.fields - {"sex"})}))
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C20-policy", "sex")


# -- kinds that need no consent ------------------------------------------------------------------------


REFERENCE = request(kind="deletion_receipt", fields=("deletion_outcome",))
BACK = replace(REFERENCE, sender=FINDER.agency, recipient=HOLDER.agency)


def test_a_reference_may_point_at_a_withdrawn_or_expired_consent_from_either_side() -> None:
    old = consent(exp=NOW - timedelta(days=1))
    standing = ConsentStanding(Status.WITHDRAWN)
    assert judge(REFERENCE, old, standing) == Allow()
    assert judge(BACK, old, standing, sender=FINDER, recipient=HOLDER) == Allow()
    assert judge(replace(REFERENCE, subj=None), old, standing) == Allow()


@pytest.mark.parametrize(
    ("asked", "given_consent", "rule"),
    [
        (REFERENCE, consent(rcp=AgencyId("third")), "C03-issuer"),
        (BACK, consent(iss=AgencyId("third")), "C03-issuer"),
        (REFERENCE, consent(origin="other.test"), "C02-origin"),
        (replace(REFERENCE, subj=OTHER_CHILD), consent(), "C08-subject"),
        (REFERENCE, consent(thread=OTHER_THREAD), "C09-thread"),
        (replace(REFERENCE, purpose="research"), consent(), "C10-purpose"),
    ],
)
def test_a_reference_points_at_a_consent_of_these_two_agencies(
    asked: ShareRequest, given_consent: Consent, rule: str
) -> None:
    assert rule_of(judge(asked, given_consent)) == rule


def without_consent(asked: ShareRequest) -> Decision:
    return decide(asked, None, ConsentStanding(), FINDER, NOW, CATALOGUE, sender=HOLDER)


def test_a_kind_without_authority_needs_no_consent_but_a_purpose() -> None:
    asked = request(kind="information_request", fields=("asked_fields", "need_code"), cns=None, subj=None)
    assert without_consent(asked) == Allow()
    assert rule_of(without_consent(replace(asked, purpose="research"))) == "C10-purpose"


def test_a_reference_that_names_a_consent_nobody_knows_is_refused() -> None:
    assert rule_of(without_consent(REFERENCE)) == "C01-unknown"
    assert without_consent(replace(REFERENCE, cns=None)) == Allow()


@pytest.mark.parametrize(
    "kind", [kind.name for kind in CATALOGUE.kinds.values() if kind.authority != "consent"]
)
def test_no_field_of_a_record_goes_without_a_consent(kind: str) -> None:
    needed = [need[0][0] for need in CATALOGUE.kinds[kind].needs]
    decision = judge(request(kind=kind, fields=(*needed, "photo", "name_given")))
    assert isinstance(decision, Deny)
    assert (decision.rule, decision.field) == ("C17-kind", "name_given")


def test_the_senders_grant_for_itself_is_no_sharing_but_still_a_message() -> None:
    own = request(recipient=HOLDER.agency, cns=None, subj=None)
    assert decide(own, None, ConsentStanding(), HOLDER, NOW, CATALOGUE, sender=HOLDER) == Allow()
    bad = replace(own, fields=("child_ref",))
    assert rule_of(decide(bad, None, ConsentStanding(), HOLDER, NOW, CATALOGUE, sender=HOLDER)) == "C17-kind"


# -- properties ----------------------------------------------------------------------------------------


NAMES = tuple(CATALOGUE.fields)
subsets = st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=len(NAMES))
purposes = st.lists(st.sampled_from(CATALOGUE.purposes), unique=True, min_size=1)
authorities = st.lists(
    st.builds(
        authority, st.sampled_from(sorted(CATALOGUE.subjects)), st.sampled_from((*CATALOGUE.bases, "unknown"))
    ),
    max_size=5,
)
parties = st.builds(
    Party,
    st.just(FINDER.agency),
    st.sampled_from(CATALOGUE.agency_kinds),
    st.sampled_from(["DE", "TR"]),
    st.booleans(),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ShareRequest, Consent, dict[str, Any]]:
    given_consent = consent(
        fields=tuple(draw(subsets)),
        pur=tuple(draw(purposes)),
        authorities=tuple(draw(authorities)),
        thread=draw(st.sampled_from([None, THREAD, OTHER_THREAD])),
        screening=draw(
            st.sampled_from(
                [Screening(state="not_required"), Screening(state="cleared", evidence_digest=EVIDENCE)]
            )
        ),
        nbf=NOW - timedelta(hours=draw(st.integers(0, 100))),
        exp=NOW + timedelta(hours=draw(st.integers(1, 100))),
        after=draw(st.sampled_from([None, (ONE, TWO)])),
    )
    asked = request(
        kind="information_response",
        purpose=draw(st.sampled_from(given_consent.pur)),
        fields=tuple(draw(st.lists(st.sampled_from(given_consent.fields), unique=True, min_size=1))),
    )
    named: dict[str, Any] = {
        "recipient": draw(parties),
        "sender": replace(draw(parties), agency=HOLDER.agency),
        "side": draw(st.sampled_from(Side)),
        "confirmations": {ONE: confirmation(ONE), TWO: confirmation(TWO)},
    }
    return asked, given_consent, named


def narrower(draw: Callable[[Any], Any], wide: Consent) -> Consent:
    """A consent that says less in some way; nothing in it is added or moved."""

    def some(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(item for item in items if draw(st.booleans()))

    urgent = any(item.basis == "vital_interest" for item in wide.authorities)
    return replace(
        wide,
        fields=some(wide.fields),
        pur=some(wide.pur),
        authorities=some(wide.authorities),
        # A shorter break-glass is the one narrowing that can make a consent lawful: 72 hours at most.
        nbf=wide.nbf if urgent else wide.nbf + timedelta(minutes=draw(st.integers(0, 60))),
        exp=wide.exp if urgent else wide.exp - timedelta(minutes=draw(st.integers(0, 59))),
        thread=wide.thread if wide.thread is not None else draw(st.sampled_from([None, THREAD])),
        after=draw(st.sampled_from([None, wide.after])),
    )


@given(st.data())
def test_narrowing_a_consent_never_allows_more(data: st.DataObject) -> None:
    asked, wide, named = data.draw(cases())
    narrow = narrower(data.draw, wide)
    if judge(asked, narrow, **named) == Allow():
        assert judge(asked, wide, **named) == Allow()


@given(st.data())
def test_asking_for_less_is_never_refused_where_more_was_allowed(data: st.DataObject) -> None:
    asked, given_consent, named = data.draw(cases())
    less = replace(asked, fields=data.draw(st.lists(st.sampled_from(asked.fields), unique=True, min_size=1)))
    if judge(asked, given_consent, **named) == Allow():
        assert judge(less, given_consent, **named) == Allow()


@given(cases(), st.timedeltas(min_value=timedelta(seconds=120), max_value=timedelta(days=9999)))
def test_withdrawal_and_expiry_never_allow(
    case: tuple[ShareRequest, Consent, dict[str, Any]], later: timedelta
) -> None:
    asked, given_consent, named = case
    withdrawn = ConsentStanding(Status.WITHDRAWN, given_consent)
    assert judge(asked, given_consent, withdrawn, **named) != Allow()
    for standing in (
        ConsentStanding(),
        ConsentStanding(Status.SUPERSEDED, consent(exp=datetime.max.replace(tzinfo=UTC))),
    ):
        assert judge(asked, given_consent, standing, now=given_consent.exp + later, **named) != Allow()


@given(st.data())
def test_order_does_not_matter(data: st.DataObject) -> None:
    asked, given_consent, named = data.draw(cases())
    shuffled = replace(
        given_consent,
        fields=tuple(data.draw(st.permutations(given_consent.fields))),
        pur=tuple(data.draw(st.permutations(given_consent.pur))),
        authorities=tuple(data.draw(st.permutations(given_consent.authorities))),
    )
    again = replace(asked, fields=tuple(data.draw(st.permutations(asked.fields))))
    assert judge(again, shuffled, **named) == judge(asked, given_consent, **named)


@given(st.data())
def test_a_superseded_consent_allows_what_both_allow_and_nothing_else(data: st.DataObject) -> None:
    asked, old, named = data.draw(cases())
    newest = narrower(data.draw, old)
    decision = judge(asked, old, ConsentStanding(Status.SUPERSEDED, newest), **named)
    both = judge(asked, old, **named) == Allow() and judge(asked, newest, **named) == Allow()
    assert (decision == Allow()) is both


# -- refusals ------------------------------------------------------------------------------------------


def test_every_rule_is_in_the_prose_with_its_code_and_can_be_raised() -> None:
    prose = rules.__doc__
    assert prose is not None
    lines = prose.splitlines()
    for rule, (code, reason, remedy) in RULES.items():
        assert [line for line in lines if f" {rule} " in line and f" {code} " in f"{line} "], rule
        assert code in error_codes()
        assert reason
        assert remedy


def test_enforce_raises_the_class_of_the_code_with_all_that_the_denial_says() -> None:
    decision = judge(given_consent=consent(fields=("child_ref",)))
    assert isinstance(decision, Deny)
    with pytest.raises(error_for("FIELD_DENIED")) as caught:
        enforce(decision)
    error = caught.value
    assert (error.code, error.rule, error.field) == ("FIELD_DENIED", "C11-field", "age_range")
    assert (error.message, error.hint) == (decision.reason, decision.remedy)
