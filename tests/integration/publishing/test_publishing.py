"""Having both logs witnessed: real witnesses over HTTP, and witnesses that are down, slow, or lie."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.hub.db import reading
from exchange.hub.services import witness_status
from exchange.hub.services.conflicts import unaccepted
from exchange.hub.services.deployment import deployment
from exchange.hub.services.hub import Hub
from exchange.hub.services.logs import audit_log, directory_log, hub_logs
from exchange.hub.services.publish_loop import note_round
from exchange.hub.services.publishing import Publisher
from exchange.hub.services.startup import check_ready
from exchange.hub.services.visits import Visits
from exchange.hub.services.witness_guard import ask_witnesses
from exchange.log.cosignature import cosign, newest_cosignatures
from exchange.log.note import split_note
from exchange.log.tree import Frontier
from exchange.log.witnessing import ADD_CHECKPOINT, SIZE_TYPE, Submission
from exchange.member.deployment import Deployment
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import encode
from exchange_schemas.errors import ConfigInvalid
from tests.integration.publishing.conftest import publish, shown, size_of
from tests.integration.publishing.witnesses import Lying, real, witnessed_by
from tests.integration.storage import only

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]
Answering = Callable[[Hub, int], None]


def test_both_logs_are_cosigned_and_the_cosigned_notes_are_what_everybody_sees(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one, two = real(tmp_path, begun, "one"), real(tmp_path, begun, "two")
    hub = witnessed_by(begun, 2, one, two)
    for log in hub_logs(hub):
        assert len(split_note(shown(hub, log)[0])[1]) == 1
    with one.up(), two.up():
        done = publish(hub)
        assert [outcome.witnessed for outcome in done.outcomes] == [True, True]
        before = size_of(hub, audit_log(hub))
        answer(hub, 5)
        assert shown(hub, audit_log(hub))[1].size == before
        publish(hub)
    for log in hub_logs(hub):
        note, checkpoint = shown(hub, log)
        assert checkpoint.size == size_of(hub, log)
        keys = [witness.key for witness in hub.witnesses.witnesses] if hub.witnesses else []
        assert len(newest_cosignatures(note, keys, hub.clock())) == 2
    note_round(hub.engine, hub.clock())
    assert witness_status.lagging(hub) == []


def test_without_a_quorum_the_older_note_stays_and_the_laggard_is_named(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one, two = real(tmp_path, begun, "one"), real(tmp_path, begun, "two")
    hub = witnessed_by(begun, 2, one, two)
    with one.up():
        with two.up():
            publish(hub)
        before = shown(hub, audit_log(hub))
        answer(hub, 3)
        done = publish(hub)
        assert [outcome.witnessed for outcome in done.outcomes] == [False, False]
        assert shown(hub, audit_log(hub)) == before
        later = replace(hub, clock=lambda: begun.clock() + timedelta(seconds=100))
        publish(later)
        note_round(hub.engine, hub.clock())
        lags = witness_status.lagging(hub)
        assert {(lag.witness, lag.log) for lag in lags} == {("w1", "audit"), ("w1", "directory")}
        # Since the first time that it failed, not the last.
        assert all(lag.since is not None and lag.since <= hub.clock() for lag in lags)
        check_ready(hub)
        with two.up():
            assert all(outcome.witnessed for outcome in publish(hub).outcomes)
    assert witness_status.lagging(hub) == []
    assert shown(hub, audit_log(hub))[1].size == size_of(hub, audit_log(hub))


def test_the_directory_quorum_of_an_unchanged_log_is_renewed(begun: Hub, tmp_path: Path) -> None:
    one, two = real(tmp_path, begun, "one"), real(tmp_path, begun, "two")
    hub = witnessed_by(begun, 1, one, two)
    with one.up(), two.up():
        publish(hub)
    note = shown(hub, directory_log(hub))[0]
    with one.up():
        publish(hub)
    renewed = shown(hub, directory_log(hub))[0]
    # The other's line stays: a quorum of two may need it.
    assert len(split_note(renewed)[1]) == len(split_note(note)[1]) == 3
    assert split_note(renewed)[0] == split_note(note)[0]


LIES: dict[str, Callable[[str, bytes], tuple[int, str, bytes]]] = {
    "refuses": lambda _path, _sent: (403, "text/plain", b"no\n"),
    "does not know the log": lambda _path, _sent: (404, "text/plain", b"no\n"),
    "says the proof is bad": lambda _path, _sent: (422, "text/plain", b"no\n"),
    "claims to hold more": lambda _path, _sent: (409, SIZE_TYPE, b"999999999\n"),
    "changes its size": lambda _path, sent: (
        409,
        SIZE_TYPE,
        b"%d\n" % ((Submission.from_bytes(sent).old + 1) % 2 if sent else 0),
    ),
    "conflicts without a size": lambda _path, _sent: (409, "text/plain", b"what\n"),
    "garbage": lambda _path, _sent: (200, "text/plain", b"\xff\x00 garbage"),
    "no lines": lambda _path, _sent: (200, "text/plain", b""),
    "redirects": lambda _path, _sent: (302, "text/plain", b""),
    "breaks": lambda _path, _sent: (500, "text/html", b"<h1>oops</h1>"),
    "endless": lambda _path, _sent: (200, "text/plain", b"x" * 200_000),
}


@only.SQLITE
@pytest.mark.parametrize("what", LIES)
def test_a_witness_that_lies_holds_up_nobody_and_proves_nothing(
    begun: Hub, tmp_path: Path, what: str
) -> None:
    good, bad = real(tmp_path, begun, "good"), Lying(LIES[what])
    with good.up(), bad.up():
        hub = witnessed_by(begun, 1, good, bad)
        done = publish(hub)
        assert [outcome.witnessed for outcome in done.outcomes] == [True, True]
        assert done.conflicts == ()
        lags = {(lag.witness, lag.log) for lag in witness_status.lagging(hub)}
        assert {("w1", "audit"), ("w1", "directory")} <= lags
        ask_witnesses(hub)
        check_ready(hub)
        # Nothing of what it said is shown.
        keys = [one.key for one in hub.witnesses.witnesses] if hub.witnesses else []
        assert len(newest_cosignatures(shown(hub, audit_log(hub))[0], keys, hub.clock())) == 1
        if what == "redirects":
            assert not any("elsewhere" in path for path in bad.asked)


@only.SQLITE
def test_lines_of_others_in_an_answer_are_not_taken(begun: Hub, tmp_path: Path) -> None:
    good, stranger = real(tmp_path, begun, "good"), SigningKey.generate()

    def reply(_path: str, sent: bytes) -> tuple[int, str, bytes]:
        note = Submission.from_bytes(sent).note
        mine = cosign(note, bad.key, "lying.test/w1", begun.clock())
        forged = cosign(note, stranger, good.key.name, begun.clock())
        more = cosign(note, stranger, "stranger.test/w1", begun.clock())
        return 200, "text/plain", (forged + more + mine).encode()

    bad = Lying(reply)
    with good.up(), bad.up():
        hub = witnessed_by(begun, 2, good, bad)
        assert all(outcome.witnessed for outcome in publish(hub).outcomes)
    names = [line.name for line in split_note(shown(hub, audit_log(hub))[0])[1]]
    assert sorted(names) == sorted([hub.settings.audit_log, "good.test/w1", "lying.test/w1"])


@only.SQLITE
@pytest.mark.parametrize(("ahead", "lags"), [(0, False), (-3600, True), (3600, True)])
def test_a_witness_whose_clock_is_wrong_is_named(begun: Hub, tmp_path: Path, ahead: int, lags: bool) -> None:
    def reply(_path: str, sent: bytes) -> tuple[int, str, bytes]:
        when = begun.clock() + timedelta(seconds=ahead)
        return (
            200,
            "text/plain",
            cosign(Submission.from_bytes(sent).note, odd.key, "lying.test/w1", when).encode(),
        )

    odd = Lying(reply)
    with odd.up():
        hub = witnessed_by(begun, 1, odd)
        publish(hub)
    note_round(hub.engine, hub.clock())
    assert (witness_status.lagging(hub) != []) is lags


@only.SQLITE
def test_a_witness_that_trickles_is_left_behind_and_visited_once_at_a_time(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    good = real(tmp_path, begun, "good")
    slow = Lying(lambda _path, _sent: (200, "text/plain", b"x" * 1000), trickle=0.2)
    with good.up(), slow.up():
        hub = witnessed_by(begun, 1, good, slow)
        assert hub.witnesses is not None
        publisher = Publisher(hub, hub.witnesses, Visits(seconds=0.7))
        for _ in range(3):
            answer(hub, 1)
            assert all(outcome.witnessed for outcome in publisher.round().outcomes)
        assert len(slow.asked) == 1
        assert {lag.witness for lag in witness_status.lagging(hub)} >= {"w1"}


# -- proof that the log went back ----------------------------------------------------------------------


def test_only_a_note_of_the_logs_own_key_stops_the_hub(begun: Hub, answer: Answering, tmp_path: Path) -> None:
    honest = real(tmp_path, begun, "one")
    hub = witnessed_by(begun, 1, honest)
    with honest.up():
        publish(hub)
        answer(hub, 3)

    def reply(path: str, sent: bytes) -> tuple[int, str, bytes]:
        if path == f"/{ADD_CHECKPOINT}":
            return 409, SIZE_TYPE, b"999999\n"
        return 200, "text/plain", forged.encode()

    other = replace(audit_log(hub), key=SigningKey.generate())
    larger = _larger(hub)
    lying = Lying(reply)
    with lying.up():
        hub = witnessed_by(begun, 1, lying)
        forged = other.note(larger)
        forged += cosign(forged, lying.key, "lying.test/w1", hub.clock())
        assert publish(hub).conflicts == ()
        assert ask_witnesses(hub)
        check_ready(hub)
        # The control: the same note, signed by the log's own key.
        forged = audit_log(hub).note(larger)
        forged += cosign(forged, lying.key, "lying.test/w1", hub.clock())
        assert [proof.rule for proof in publish(hub).conflicts] == ["rolled-back"]
    with reading(hub.engine) as conn:
        assert [proof.rule for proof in unaccepted(conn)] == ["rolled-back"]


def _larger(hub: Hub) -> Frontier:
    with reading(hub.engine) as conn:
        return audit_log(hub).head(conn).append(b"\x01" * 32)


# -- what members are told -----------------------------------------------------------------------------


def test_the_deployment_names_the_witnesses_of_both_logs(begun: Hub, tmp_path: Path) -> None:
    one, two = real(tmp_path, begun, "one"), real(tmp_path, begun, "two")
    assert Deployment.from_bytes(encode(deployment(begun))).witnesses is None
    pins = Deployment.from_bytes(encode(deployment(witnessed_by(begun, 2, one, two))))
    assert pins.witnesses is not None
    assert (pins.witnesses.needed, len(pins.witnesses.witnesses)) == (2, 2)
    assert Deployment.from_bytes(pins.to_bytes()) == pins


def test_without_a_policy_nothing_is_published(begun: Hub) -> None:
    with pytest.raises(ConfigInvalid) as told:
        Publisher.of(begun)
    assert told.value.field == "HOMEWARD_WITNESS_POLICY"
    assert ask_witnesses(begun) == witness_status.lagging(begun) == []
