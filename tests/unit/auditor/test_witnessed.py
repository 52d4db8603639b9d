"""Pulling with witnesses: what they cosigned is kept, and a hub cannot show an auditor less than them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.pull import Pulled, pull
from exchange.auditor.verdict import Fault
from exchange.auditor.verify import verify_mirror
from exchange.auditor.witnessed import Asked, pull_with_witnesses
from exchange.log.checkpoint import Checkpoint, LogKey, sign_checkpoint, vkey
from exchange.log.cosignature import cosign, cosigner_vkey
from exchange.log.policy import Policy
from exchange.log.tree import leaf_hash, root_of
from exchange.member.witnessed import LOG_PREFIX
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import HubUnreachable, LogFork
from tests.unit.auditor.logs import KEY, NOW, VKEY, Hub, entry, note
from tests.unit.auditor.logs import LOG as LOG_NAME

WHEN = datetime.fromtimestamp(1_790_000_010, UTC)
LOG = [entry(number) for number in range(40)]
KEYS = {name: SigningKey.from_seed(bytes([at]) * 32) for at, name in enumerate(("w1", "w2", "w3"), 1)}
LINES = {name: f"witness {name} {cosigner_vkey(name, key.public.raw)}" for name, key in KEYS.items()}
POLICY = Policy.from_bytes(
    f"log {VKEY}\n{LINES['w1']} https://w1\n{LINES['w2']} https://w2\n{LINES['w3']}\n"
    "group two 2 w1 w2 w3\nquorum two\n".encode()
)


def cosigned(entries: list[bytes], *names: str) -> str:
    return note(entries) + "".join(cosign(note(entries), KEYS[name], name, WHEN) for name in names)


class Witnesses:
    """What the witnesses at their addresses answer; an error is raised."""

    def __init__(self, **answers: str | HubUnreachable | None) -> None:
        self.answers = answers

    def ask(self, url: str, origin: str) -> str | None:
        assert origin == VKEY.split("+")[0]
        answer = self.answers[url.removeprefix("https://")]
        if isinstance(answer, HubUnreachable):
            raise answer
        return answer


class Growing(Hub):
    """A hub whose log grows between two pulls."""

    def __init__(self, *shown: list[bytes]) -> None:
        super().__init__(shown[0])
        self.later = list(shown[1:])

    def grow(self) -> None:
        if self.later:
            super().__init__(self.later.pop(0))


def run(folder: Path, hub: Hub, witnesses: Witnesses) -> Asked:
    mirror = Mirror(folder)

    def once():  # type: ignore[no-untyped-def]  # as the caller gives it
        done = pull(mirror, hub, VKEY)
        if isinstance(hub, Growing):
            hub.grow()
        return done

    return pull_with_witnesses(once, mirror, hub, VKEY, policy=POLICY, ask=witnesses.ask, now=NOW)[1]


def verdict(folder: Path):  # type: ignore[no-untyped-def]  # a Verdict
    trust = Trust(tuple(log.key for log in POLICY.logs), "policy", NOW, POLICY)
    return verify_mirror(Mirror(folder), trust)


def test_what_witnesses_cosigned_is_kept_and_makes_the_copy_witnessed(tmp_path: Path) -> None:
    asked = run(tmp_path, Hub(LOG), Witnesses(w1=cosigned(LOG[:30], "w1"), w2=cosigned(LOG[:30], "w2")))
    assert asked.answered == 2
    assert asked.silent == ("w3: the policy has no address",)
    found = verdict(tmp_path)
    assert found.ok
    assert (found.witnessed.size, found.witnessed.when) == (30, WHEN)


def test_a_witness_that_is_silent_or_did_not_cosign_is_named(tmp_path: Path) -> None:
    asked = run(tmp_path, Hub(LOG), Witnesses(w1=HubUnreachable("it is away"), w2=note(LOG[:30])))
    assert asked.answered == 0
    assert len(asked.silent) == 3
    assert not verdict(tmp_path).ok
    asked = run(tmp_path, Hub(LOG), Witnesses(w1=None, w2="nonsense"))
    assert asked.answered == 0


@pytest.mark.parametrize("size", [30, 40])
def test_a_witness_that_saw_another_past_proves_a_fork(tmp_path: Path, size: int) -> None:
    other = [*LOG[: size - 1], entry(9_000)]
    with pytest.raises(LogFork) as caught:
        run(tmp_path, Hub(LOG), Witnesses(w1=cosigned(other, "w1"), w2=None))
    assert caught.value.rule == "forked"
    assert verdict(tmp_path).counts == {Fault.FORKED: 1}


def test_a_hub_that_shows_less_than_a_witness_saw_has_lost_entries(tmp_path: Path) -> None:
    with pytest.raises(LogFork) as caught:
        run(tmp_path, Hub(LOG[:30]), Witnesses(w1=cosigned(LOG, "w1"), w2=None))
    assert caught.value.rule == "rolled-back"
    found = verdict(tmp_path)
    assert (found.integrity, found.complete) == (True, True)
    assert found.counts == {Fault.ROLLED_BACK: 1}


def test_entries_that_came_between_pull_and_question_are_pulled(tmp_path: Path) -> None:
    run(tmp_path, Growing(LOG[:30], LOG), Witnesses(w1=cosigned(LOG[:35], "w1"), w2=cosigned(LOG[:35], "w2")))
    found = verdict(tmp_path)
    assert (found.ok, found.size, found.witnessed.size) == (True, 40, 35)


NEXT = SigningKey.from_seed(bytes([9]) * 32)
NEXT_VKEY = vkey(LOG_NAME, NEXT.public.raw)


class Changing(Hub):
    """A hub whose log changes its key: both sign."""

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool = True) -> tuple[int, dict[str, Any]]:
        status, answer = super().post(path, body, repeatable=repeatable)
        return status, answer | {"checkpoint": self.get_text(LOG_PREFIX + "checkpoint", limit=4096)}

    def get_text(self, path: str, *, limit: int) -> str:
        tree = Checkpoint(LOG_NAME, len(self.entries), root_of(leaf_hash(one) for one in self.entries))
        return sign_checkpoint(tree, LogKey(NEXT, KEY))[:limit]


def pulled_while_changing(folder: Path, witness: list[bytes]) -> Asked:
    """The auditor has taken the next key; the witness, who saw these entries, knows the old one alone."""
    mirror, hub = Mirror(folder), Changing(LOG)
    pull(mirror, Hub(LOG[:20]), VKEY)
    ask = Witnesses(w1=cosigned(witness, "w1"), w2=None).ask

    def once() -> Pulled:
        return pull(mirror, hub, NEXT_VKEY)

    return pull_with_witnesses(once, mirror, hub, NEXT_VKEY, policy=POLICY, ask=ask, now=NOW)[1]


def test_a_witness_that_knows_the_key_before_alone_is_heard_while_the_key_changes(tmp_path: Path) -> None:
    assert pulled_while_changing(tmp_path, LOG[:30]).answered == 1
    assert Mirror(tmp_path).vkeys == (VKEY, NEXT_VKEY)
    with pytest.raises(LogFork):
        pulled_while_changing(tmp_path / "forked", [*LOG[:29], entry(9_000)])


def test_a_cosignature_from_the_future_is_no_answer(tmp_path: Path) -> None:
    late = note(LOG) + cosign(note(LOG), KEYS["w1"], "w1", NOW + timedelta(hours=1))
    assert run(tmp_path, Hub(LOG), Witnesses(w1=late, w2=None)).answered == 0
