"""What holds for every consent and every request."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exchange.consent import (
    Allow,
    ConsentStanding,
    Party,
    ShareRequest,
    Side,
    Status,
)
from exchange_schemas.consent import Consent, Screening
from tests.unit.consent.sharing import (
    CATALOGUE,
    EVIDENCE,
    FINDER,
    HOLDER,
    NOW,
    ONE,
    OTHER_THREAD,
    THREAD,
    TWO,
    authority,
    confirmation,
    consent,
    judge,
    request,
)

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
