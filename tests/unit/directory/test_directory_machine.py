"""Any life of a directory: random events, lawful and not, against a plain model of what must hold."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange.directory.replay import Replay
from exchange.directory.rules import governance_pin
from exchange.directory.state import (
    APPROVER,
    AUTH,
    ENC,
    ENVELOPE,
    ROOT,
    AgencyStatus,
    DirectoryState,
    KeyStatus,
)
from exchange_keys.jws import Signed
from exchange_schemas.errors import ExchangeError
from exchange_schemas.ids import AgencyId, Kid
from tests.unit.directory.applying import apply_event, apply_events
from tests.unit.directory.deployment import (
    ALPHA,
    BETA,
    GAMMA,
    ORIGIN,
    Deployment,
    Event,
    public_key,
    root_key,
    signers_of,
    signing_key,
)

AGENCIES = st.sampled_from([ALPHA, BETA, GAMMA])
USES = st.sampled_from([APPROVER, ENVELOPE, ENC, AUTH])
NAMES = st.sampled_from(["1", "2", "3"])
ORDER = {KeyStatus.ACTIVE: 0, KeyStatus.DRAINING: 1, KeyStatus.REVOKED: 2}


class DirectoryMachine(RuleBasedStateMachine):
    """The model: standing of agencies, standing of kids, current roots. Each step says what must happen."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Deployment()
        self.standing: dict[AgencyId, AgencyStatus] = {}
        self.roots: dict[AgencyId, int] = {}
        self.keys: dict[Kid, tuple[AgencyId, str, KeyStatus]] = {}
        self.seen: list[Event] = []

    @initialize()
    def begin(self) -> None:
        genesis = self.world.governance()
        self.world.state = DirectoryState.empty(ORIGIN, pin=governance_pin(genesis))
        self.world.apply(genesis)

    def attempt(self, event: Signed | Event, *, lawful: bool) -> bool:
        signed, keys = (event, {}) if isinstance(event, Signed) else event
        before = self.world.state
        try:
            self.world.apply(signed, keys)
        except ExchangeError:
            assert not lawful
            assert self.world.state is before
            return False
        assert lawful
        self.seen.append((signed, keys))
        return True

    def open(self, agency: AgencyId) -> bool:
        return self.standing.get(agency) is AgencyStatus.ACTIVE

    def root_names(self, agency: AgencyId, number: int) -> tuple[str, ...]:
        return (agency, f"root {number}") if number else (agency,)

    def signers(self, agency: AgencyId) -> list[object]:
        return list(signers_of(root_key(*self.root_names(agency, self.roots.get(agency, 0)))))

    @rule(agency=AGENCIES, enough=st.booleans())
    def admit(self, agency: AgencyId, enough: bool) -> None:
        signers = self.world.quorum() if enough else self.world.quorum("ann")
        lawful = enough and agency not in self.standing
        if self.attempt(self.world.admit(agency, signers=signers), lawful=lawful):
            self.standing[agency] = AgencyStatus.ACTIVE

    @rule(agency=AGENCIES, right=st.booleans())
    def set_root(self, agency: AgencyId, right: bool) -> None:
        first = agency not in self.roots
        number = 0 if first else self.roots[agency] + 1
        names = self.root_names(agency, number)
        new = root_key(*names)
        old = [] if first else [root_key(*self.root_names(agency, self.roots[agency]))]
        signers = signers_of(new, *old) if right else signers_of(new)[:1]
        if self.attempt(
            self.world.root_set(agency, names=names, signers=signers), lawful=right and self.open(agency)
        ):
            self.roots[agency] = number

    @rule(agency=AGENCIES, use=USES, name=NAMES, by_approver=st.booleans())
    def add_key(self, agency: AgencyId, use: str, name: str, by_approver: bool) -> None:
        signers = [signing_key(APPROVER, agency, "1")] if by_approver else self.signers(agency)
        event = self.world.key(agency, use, name=name, signers=signers)
        kid = public_key(use, agency, name).kid
        lawful = self.open(agency) and kid not in self.keys and self.may_sign(agency, use, by_approver)
        if self.attempt(event, lawful=lawful):
            self.keys[kid] = (agency, use, KeyStatus.ACTIVE)

    def may_sign(self, agency: AgencyId, use: str, by_approver: bool) -> bool:
        if not by_approver:
            return agency in self.roots
        approver = self.keys.get(signing_key(APPROVER, agency, "1").public.kid)
        return (
            use != APPROVER and approver is not None and approver[2] is KeyStatus.ACTIVE and self.open(agency)
        )

    @rule(agency=AGENCIES, use=USES, name=NAMES, by_approver=st.booleans())
    def drain_key(self, agency: AgencyId, use: str, name: str, by_approver: bool) -> None:
        self.end_key(agency, use, name, by_approver, KeyStatus.DRAINING)

    @rule(agency=AGENCIES, use=USES, name=NAMES, by_approver=st.booleans())
    def revoke_key(self, agency: AgencyId, use: str, name: str, by_approver: bool) -> None:
        self.end_key(agency, use, name, by_approver, KeyStatus.REVOKED)

    def end_key(self, agency: AgencyId, use: str, name: str, by_approver: bool, end: KeyStatus) -> None:
        signers = [signing_key(APPROVER, agency, "1")] if by_approver else self.signers(agency)
        make = self.world.drain if end is KeyStatus.DRAINING else self.world.revoke
        kid = public_key(use, agency, name).kid
        known = self.keys.get(kid)
        here = self.open(agency) or (
            end is KeyStatus.REVOKED and self.standing.get(agency) is AgencyStatus.SUSPENDED
        )
        lawful = (
            known is not None
            and here
            and self.may_sign(agency, use, by_approver)
            and (known[2] is KeyStatus.ACTIVE or (end is KeyStatus.REVOKED and known[2] is not end))
        )
        if self.attempt(make(agency, use, name=name, signers=signers), lawful=lawful) and known is not None:
            self.keys[kid] = (known[0], known[1], end)

    @rule(agency=AGENCIES, move=st.sampled_from(["suspend", "resume", "expel"]), enough=st.booleans())
    def move(self, agency: AgencyId, move: str, enough: bool) -> None:
        now = self.standing.get(agency)
        target, lawful = {
            "suspend": (AgencyStatus.SUSPENDED, now is AgencyStatus.ACTIVE),
            "resume": (AgencyStatus.ACTIVE, now is AgencyStatus.SUSPENDED),
            "expel": (AgencyStatus.EXPELLED, now in (AgencyStatus.ACTIVE, AgencyStatus.SUSPENDED)),
        }[move]
        signers = self.world.quorum() if enough else self.signers(agency)
        event = getattr(self.world, move)(agency, signers=signers)
        if self.attempt(event, lawful=lawful and enough):
            self.standing[agency] = target

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def nothing_that_was_logged_can_be_logged_again(self, data: st.DataObject) -> None:
        signed, keys = data.draw(st.sampled_from(self.seen))
        turned = replace(signed, signatures=signed.signatures[::-1])
        self.attempt((data.draw(st.sampled_from([signed, turned])), keys), lawful=False)

    @invariant()
    def state_and_model_agree(self) -> None:
        state = self.world.state
        assert {name: agency.status for name, agency in state.agencies.items()} == self.standing
        found = {key.kid: (key.agency, key.use, key.status) for key in state.every_key() if key.use != ROOT}
        assert found == self.keys
        for key in state.every_key():
            assert state.owners[key.kid] == key.agency
            assert key.public.kid == key.kid
        for name, agency in state.agencies.items():
            root = agency.active_root()
            if name in self.roots:
                expected = root_key(*self.root_names(name, self.roots[name])).public
                assert {key.kid for key in root} == {expected.ed25519.kid, expected.mldsa65.kid}
                assert agency.root == expected.digest
            else:
                assert root == ()
        soon = self.world.now + timedelta(hours=1)
        for key in state.every_key():
            usable = key in state.active_keys(key.agency, key.use, soon)
            assert usable is (key.status is KeyStatus.ACTIVE and self.open(key.agency))

    def teardown(self) -> None:
        empty = DirectoryState.empty(ORIGIN, pin=self.world.state.pin)
        assert apply_events(empty, self.world.log) == self.world.state


DirectoryMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestDirectoryMachine = DirectoryMachine.TestCase


def test_a_failed_replay_leaves_the_state_it_began_with() -> None:
    world = Deployment().begin().join(ALPHA)
    before = world.state
    replay = Replay(before)
    replay.apply(world.suspend(), {})
    assert before.agencies[ALPHA].status is AgencyStatus.ACTIVE
    assert replay.state().agencies[ALPHA].status is AgencyStatus.SUSPENDED
    assert apply_event(before, world.suspend(), {}).agencies[ALPHA].status is AgencyStatus.SUSPENDED
