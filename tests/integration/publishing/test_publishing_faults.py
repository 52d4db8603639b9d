"""A publisher that is killed, two of them at once, a hub that was put back: nothing smaller is ever shown."""

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import make_url

from exchange.hub.db import open_engine, reading, writing
from exchange.hub.models.witnesses import log_published, log_publisher
from exchange.hub.services import conflicts, witnessed
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.logs import audit_log, directory_log
from exchange.hub.services.publish_loop import give_lease, publish_until, take_lease
from exchange.hub.services.recover import recover
from exchange.hub.services.startup import check_ready
from exchange.hub.services.witness_guard import ask_witnesses, check_start
from exchange.log.checkpoint import LogKey
from exchange.log.cosignature import newest_cosignatures
from exchange.log.tree import Frontier
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import LogFork, Unavailable
from tests.integration.publishing.conftest import publish, quick, shown, size_of
from tests.integration.publishing.witnesses import real, witnessed_by
from tests.integration.storage import only
from tests.soak import rounds

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]
Answering = Callable[[Hub, int], None]
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.soak
def test_a_publisher_killed_at_any_moment_shows_nothing_smaller_and_nothing_unsigned(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one, two = real(tmp_path, begun, "one"), real(tmp_path, begun, "two")
    hub = witnessed_by(begun, 2, one, two)
    assert hub.witnesses is not None
    policy = tmp_path / "policy"
    lines = [f"witness w{n} {each.vkey} {each.url}" for n, each in enumerate((one, two))]
    policy.write_text("\n".join([*lines, "group g 2 w0 w1", "quorum g", ""]))
    keys = [key for key in (hub.keys.audit_log, hub.keys.directory_log) if isinstance(key, SigningKey)]
    command = [sys.executable, "-m", "tests.integration.publishing.rounds", hub.settings.database_url]
    command += [str(tmp_path / "killed"), *(key.seed.hex() for key in keys), str(policy)]
    sizes = [0]
    with one.up(), two.up():
        for number in range(rounds(3)):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
            assert process.stdout is not None
            for _ in range(1 + number % 3):
                assert process.stdout.readline() == b"done\n"
                answer(hub, 1)
            # Somewhere inside of a round.
            killer = threading.Timer(0.003 * (number % 7), process.send_signal, [signal.SIGKILL])
            killer.start()
            process.wait()
            killer.join()
            process.stdout.close()
            _, found = shown(hub, audit_log(hub))
            keys_of = [each.key for each in hub.witnesses.witnesses]
            assert len(newest_cosignatures(shown(hub, audit_log(hub))[0], keys_of, hub.clock())) == 2
            assert found.size >= sizes[-1]
            assert conflicts.contradiction(hub, audit_log(hub), shown(hub, audit_log(hub))[0], "x") is None
            sizes.append(found.size)
        assert all(outcome.witnessed for outcome in publish(hub).outcomes)
    assert sizes[-1] > 0
    assert shown(hub, audit_log(hub))[1].size == size_of(hub, audit_log(hub))
    check_ready(hub)


def test_of_two_publishers_the_smaller_tree_changes_nothing(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one = real(tmp_path, begun, "one")
    hub = witnessed_by(begun, 1, one)
    log = audit_log(hub)
    with one.up():
        publish(hub)
        small = shown(hub, log)
        answer(hub, 2)
        publish(hub)
    large = shown(hub, log)
    assert witnessed.keep(hub.engine, log, small[1].size, small[0]).note == large[0]
    assert shown(hub, log) == large
    assert large[1].size > small[1].size


def test_one_of_many_holds_the_lease_and_another_takes_over(begun: Hub) -> None:
    now = utc_now()
    assert take_lease(begun.engine, "a", now)
    assert not take_lease(begun.engine, "b", now)
    assert take_lease(begun.engine, "a", now + timedelta(seconds=59))
    assert not take_lease(begun.engine, "b", now + timedelta(seconds=61))
    assert take_lease(begun.engine, "b", now + timedelta(seconds=120))
    give_lease(begun.engine, "b")
    assert take_lease(begun.engine, "a", now)


@only.SQLITE
def test_the_loop_makes_a_round_when_something_is_new_and_a_heartbeat_when_not(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one = real(tmp_path, begun, "one")
    shift = [timedelta()]
    hub = replace(witnessed_by(begun, 1, one), clock=lambda: utc_now() + shift[0])
    made: list[int] = []
    plan = iter([timedelta(), timedelta(seconds=30), timedelta(seconds=61), "answer", None])

    def wait() -> bool:
        with reading(hub.engine) as conn:
            made.append(conn.execute(select(log_publisher.c.done)).scalar_one())
        step = next(plan)
        if step == "answer":
            answer(begun, 1)
        elif isinstance(step, timedelta):
            shift[0] = step
        return step is None

    with one.up():
        assert publish_until(hub, "me", wait)
    first, again, quiet, heartbeat, after = made
    assert first == again == quiet
    assert heartbeat >= first + 60
    assert after >= heartbeat
    assert shown(hub, audit_log(hub))[1].size == size_of(hub, audit_log(hub))


def test_a_changed_log_key_is_published_and_an_unsigned_old_note_is_not_shown(
    begun: Hub, tmp_path: Path
) -> None:
    one = real(tmp_path, begun, "one")
    hub = witnessed_by(begun, 1, one)
    with one.up():
        publish(hub)
        old, new = hub.keys.audit_log, SigningKey.generate()
        assert isinstance(old, SigningKey)
        finished = replace(hub, keys=replace(hub.keys, audit_log=new))
        # Who pins the new key alone could not open what was published before.
        assert shown(finished, audit_log(finished))[1].size == size_of(hub, audit_log(hub))
        assert audit_log(hub).pins[0].key_id.hex() not in shown(finished, audit_log(finished))[0]
        changing = replace(hub, keys=replace(hub.keys, audit_log=LogKey(new, old)))
        assert all(outcome.witnessed for outcome in publish(changing).outcomes)
        assert publish(finished).outcomes[0].witnessed is False


# -- a hub that was put back ---------------------------------------------------------------------------


@contextmanager
def put_back_afterwards(hub: Hub, folder: Path) -> Iterator[Hub]:
    """Gives the hub that its operator puts back, after the block, to a backup made before it."""
    path = Path(f"{make_url(hub.settings.database_url).database}")
    hub.engine.dispose()
    shutil.copy(path, folder / "backup")
    yield replace(hub, engine=open_engine(hub.settings.database_url))
    hub.engine.dispose()
    shutil.copy(folder / "backup", path)


@only.SQLITE
def test_a_hub_put_back_to_a_backup_may_not_serve_until_an_operator_has_looked(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one, two = real(tmp_path, begun, "one"), real(tmp_path, begun, "two")
    hub = witnessed_by(begun, 1, one, two)
    answer(hub, 2)
    with one.up(), two.up():
        with put_back_afterwards(hub, tmp_path) as back:
            answer(hub, 3)
            publish(hub)
            assert check_start(hub) == []
        # The mark on the guard volume was lost as well: the witnesses alone know.
        for file in hub.settings.guard_dir.iterdir():
            file.unlink()
        check_ready(back)
        with pytest.raises(Unavailable) as told:
            check_start(back)
        assert (told.value.rule, "shorter" in told.value.message) == ("S8-witnessed", True)
        # Growing on does not help: it is another log now.
        answer(back, 9)
        with pytest.raises(Unavailable):
            check_start(back)
        recover(back, "asha")
        check_start(back)
        # Both have signed another history: they never cosign this one.
        assert [outcome.witnessed for outcome in publish(back).outcomes] == [False, True]
        check_ready(back)
        back.engine.dispose()


@only.SQLITE
@pytest.mark.parametrize("more", [3, 9])
def test_a_hub_that_went_on_after_it_was_put_back_is_a_fork(
    begun: Hub, answer: Answering, tmp_path: Path, more: int
) -> None:
    one = real(tmp_path, begun, "one")
    hub = witnessed_by(begun, 1, one)
    with put_back_afterwards(hub, tmp_path) as back:
        answer(hub, 3)
        with one.up():
            publish(hub)
    for file in hub.settings.guard_dir.iterdir():
        file.unlink()
    # By the time that somebody asks, its log is as long as the one that was witnessed, or longer.
    answer(back, more)
    check_ready(back)
    with one.up(), pytest.raises(Unavailable) as told:
        check_start(back)
    assert told.value.rule == "S8-witnessed"
    with reading(back.engine) as conn:
        assert [(proof.log, proof.rule) for proof in conflicts.unaccepted(conn)] == [("audit", "forked")]
    back.engine.dispose()


@only.SQLITE
def test_a_publisher_that_finds_the_log_put_back_ends_with_proof(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one = real(tmp_path, begun, "one")
    hub = witnessed_by(begun, 1, one)
    with put_back_afterwards(hub, tmp_path) as back:
        answer(hub, 3)
        with one.up():
            publish(hub)
    # Nobody answers: the hub starts, with a warning.
    (warning,) = ask_witnesses(back, quick())
    assert "w0" in warning
    check_ready(back)
    with one.up():
        assert publish_until(back, "me", lambda: True) is False
    with pytest.raises(Unavailable) as told:
        check_ready(back)
    assert told.value.rule == "S8-witnessed"
    back.engine.dispose()


def test_a_log_that_does_not_continue_what_was_published_is_not_published(
    begun: Hub, answer: Answering, tmp_path: Path
) -> None:
    one = real(tmp_path, begun, "one")
    hub = witnessed_by(begun, 1, one)
    with one.up():
        publish(hub)
        note = directory_log(hub).note(_other_tree(hub))
        with writing(hub.engine) as conn:
            conn.execute(update(log_published).where(log_published.c.log == "directory").values(note=note))
        with pytest.raises(LogFork):
            publish(hub)
    with pytest.raises(Unavailable) as told:
        check_ready(hub)
    assert told.value.rule == "S8-witnessed"


def _other_tree(hub: Hub) -> Frontier:
    with reading(hub.engine) as conn:
        return directory_log(hub).head(conn).append(b"\x02" * 32)
