"""A proposal carries signed bytes; what it does is read from them."""

from pathlib import Path

import pytest

from exchange.directory.enrolment import check_bundle
from exchange.directory.state import Governance
from exchange.hub.admin.proposal import Proposal, facts_of, subject_name
from exchange.hub.services.agencies import admission
from exchange.hub.services.operators import names_of, opr_of
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import Conflict, KidUnknown, Malformed
from exchange_schemas.event import GovernanceEvent, Operator, SuspendEvent
from tests.integration.directory.people import ORIGIN, Agency, second


@pytest.fixture(scope="module")
def agency() -> Agency:
    return Agency.named("ngo-a")


@pytest.fixture
def proposal(agency: Agency) -> Proposal:
    """An admission with one signature."""
    bundle = agency.bundle()
    checked = check_bundle(bundle, origin=ORIGIN, now=second())
    return Proposal.begin(admission(checked, origin=ORIGIN, now=second()), SigningKey.generate(), bundle)


def operator(name: str, key: SigningKey) -> Operator:
    return Operator(name=name, kid=key.public.kid, key=key.public.raw)


def test_a_file_holds_all_of_it(proposal: Proposal, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    proposal.write(path, replace_file=False)
    assert Proposal.read(path) == proposal
    with pytest.raises(Conflict):
        proposal.write(path, replace_file=False)
    proposal.signed_by(SigningKey.generate()).write(path, replace_file=True)
    assert len(Proposal.read(path).event.signatures) == 2


def test_another_signature_leaves_the_signed_bytes_alone(proposal: Proposal) -> None:
    key = SigningKey.generate()
    signed = proposal.signed_by(key)
    assert signed.event.payload == proposal.event.payload
    assert signed.event.signatures[0] == proposal.event.signatures[0]
    with pytest.raises(Conflict):
        signed.signed_by(key)


def test_the_facts_come_from_the_signed_bytes(proposal: Proposal, agency: Agency) -> None:
    facts = facts_of(proposal.content)
    assert facts["fingerprint"] == agency.fingerprint
    assert (facts["event"], facts["agency"], facts["kind"]) == ("admit", "ngo-a", "ngo")
    assert subject_name(proposal.content) == "ngo-a"
    asha = operator("asha", SigningKey.generate())
    event = GovernanceEvent(origin=ORIGIN, iat=second(), k=1, operators=(asha,))
    assert facts_of(event)["operators"] == ["asha"]
    assert subject_name(event) == "governance"


def test_bundle_and_admission_must_belong_together(proposal: Proposal, agency: Agency) -> None:
    checked = proposal.checked_bundle()
    assert checked is not None
    assert checked.fingerprint == agency.fingerprint
    with pytest.raises(Conflict):
        Proposal(proposal.event, None).checked_bundle()
    with pytest.raises(Conflict):
        Proposal(proposal.event, Agency.named("ngo-a").bundle()).checked_bundle()
    with pytest.raises(Conflict):
        Proposal(proposal.event, agency.bundle(contact="desk@elsewhere.example")).checked_bundle()


def test_only_an_admission_has_a_bundle(agency: Agency) -> None:
    event = SuspendEvent(origin=ORIGIN, iat=second(), agency=agency.id, reason="security")
    proposal = Proposal.begin(event, SigningKey.generate())
    assert proposal.checked_bundle() is None
    with pytest.raises(Conflict):
        Proposal(proposal.event, agency.bundle()).checked_bundle()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"v":1,"typ":"hx-proposal","event":{},"bundle":null}',
        b'{"v":2,"typ":"hx-proposal","event":{},"bundle":null}',
        b'{"v":1,"typ":"hx-event","event":{},"bundle":null}',
        b"{" * 2_000_000,
    ],
)
def test_what_is_no_proposal_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(data)
    with pytest.raises(Malformed):
        Proposal.read(path)


# -- what the audit log calls the operators ------------------------------------------------------------


def test_operators_are_named_in_the_order_of_their_signatures(proposal: Proposal) -> None:
    asha, ben = SigningKey.generate(), SigningKey.generate()
    event = SuspendEvent(origin=ORIGIN, iat=second(), agency=Agency.named("ngo-b").id, reason="other")
    signed = Proposal.begin(event, ben).signed_by(asha).event
    governance = Governance(2, (operator("asha", asha), operator("ben", ben)), second())
    assert names_of(signed, governance) == ["ben", "asha"]
    with pytest.raises(KidUnknown):
        names_of(proposal.event, governance)


def test_many_operators_fit_into_an_entry() -> None:
    names = [f"operator-number-{number:02}" for number in range(16)]
    text = opr_of(names)
    assert text == "operator-number-00/operator-number-01/operator-number-02/and-13-more"
    assert len(text) <= 80
    assert opr_of(["asha"]) == "asha"
    assert opr_of(["x" * 32] * 3) == f"{'x' * 32}/{'x' * 32}/and-1-more"
