"""Several processes at once: one transaction decides, and every reader sees the same order."""

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.hub.models.consents import consent, consent_family
from exchange.hub.models.envelopes import grant, manifest
from exchange.hub.services import inbox
from exchange_schemas.entry import Entry
from tests.integration.messages.agencies import Agency
from tests.integration.messages.builders import GivenConsent, World
from tests.integration.messages.edits import body_of, grant_of

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 10
Worker = subprocess.Popen[str]
Call = dict[str, Any]
Race = Callable[..., list[list[str]]]


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    """Three processes that make the calls they are told to."""
    command = [sys.executable, "-W", "error", "-m", "tests.integration.messages.race"]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for worker in started:
        assert _read(worker) == "here\n"
    yield started
    for worker in started:
        worker.communicate()
        assert worker.returncode == 0


@pytest.fixture
def race(workers: list[Worker], world: World) -> Race:
    """Make each side's calls in a process of its own, all begun at once; what came of each call."""
    settings, keys = world.hub.settings, world.hub.keys
    job = {
        "database_url": settings.database_url,
        "data_dir": f"{settings.data_dir}",
        "guard_dir": f"{settings.guard_dir}",
        "seeds": [b64encode(key.seed).decode() for key in (keys.audit_log, keys.directory_log)],
    }

    def run(*sides: list[Call]) -> list[list[str]]:
        used = workers[: len(sides)]
        for worker, calls in zip(used, sides, strict=True):
            _say(worker, json.dumps({**job, "calls": calls}))
        for worker in used:
            assert _read(worker) == "ready\n"
        for worker in used:
            _say(worker, "go")
        return [json.loads(_read(worker)) for worker in used]

    return run


def _say(worker: Worker, line: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(f"{line}\n")
    worker.stdin.flush()


def _read(worker: Worker) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline()


# -- calls -----------------------------------------------------------------------------------------


def withdraw(world: World, given: GivenConsent) -> Call:
    body = world.sign_withdrawal(given).to_json()
    return {"do": "withdraw", "agency": given.consent.iss, "cid": given.consent.cid, "body": body}


def fetch(rcp: Agency, gid: str) -> Call:
    return {"do": "fetch", "agency": rcp.id, "gid": gid}


def deposit(world: World, snd: Agency, given: GivenConsent) -> Call:
    """The next envelope of `snd`; the one after it follows on it."""
    rcp = world.agencies[given.consent.rcp]
    sealed = world.seal(snd, [world.recipient(snd, rcp, given)])
    for item in sealed.grants:
        snd.heads[item.rcp] = (item.seq, item.digest)
    return {"do": "deposit", "agency": snd.id, "body": body_of(sealed)}


# -- races -----------------------------------------------------------------------------------------


def test_a_withdrawal_and_a_fetch_at_once_are_in_one_order(
    world: World, ngo: Agency, embassy: Agency, race: Race
) -> None:
    """Whoever is first decides: what was given counts as delivered, what was not is never given."""
    consents = [world.consent(ngo, embassy) for _ in range(ROUNDS)]
    gids = [grant_of(world.send(ngo, given), embassy).gid for given in consents]
    before = world.log_size()
    fetched, withdrawn = race(
        [fetch(embassy, gid) for gid in gids],
        # From the other end: they meet in the middle.
        [withdraw(world, given) for given in reversed(consents)],
    )
    assert withdrawn == ["done"] * ROUNDS
    assert set(fetched) <= {"done", "CONSENT_WITHDRAWN"}
    families = {row.family: row for row in world.rows(consent_family)}
    states = {row.gid: row.state for row in world.rows(grant)}
    for given, gid, outcome in zip(consents, gids, fetched, strict=True):
        row = families[given.consent.family]
        delivered = outcome == "done"
        assert (row.delivered, row.undelivered) == ((1, 0) if delivered else (0, 1))
        assert states[gid] == ("fetched" if delivered else "dead")
    _check_order(world.entries(before))


def test_one_grant_fetched_and_withdrawn_at_once_is_in_one_order(
    world: World, ngo: Agency, embassy: Agency, race: Race
) -> None:
    given = world.consent(ngo, embassy)
    gid = grant_of(world.send(ngo, given), embassy).gid
    before = world.log_size()
    race([fetch(embassy, gid)] * 6, [fetch(embassy, gid)] * 6, [withdraw(world, given)])
    _check_order(world.entries(before))


def _check_order(entries: list[Entry]) -> None:
    """In the log, a fetch is refused if and only if its consent's withdrawal came before it."""
    ended: set[str | None] = set()
    for entry in entries:
        if entry.act == "consent:withdraw":
            ended.add(entry.cns)
        elif entry.act == "grant:fetch":
            assert (entry.out == "deny") is (entry.cns in ended)


def test_a_withdrawal_and_a_deposit_at_once_leave_no_living_grant(world: World, race: Race) -> None:
    embassy = world.agencies["embassy"]
    deposits, withdrawals = [], []
    for number in range(ROUNDS):
        # A sender for each: a refused deposit would break the chain for the next one.
        snd = world.admit(f"sender-{number}")
        given = world.consent(snd, embassy)
        deposits.append(deposit(world, snd, given))
        withdrawals.append(withdraw(world, given))
    deposited, withdrawn = race(deposits, list(reversed(withdrawals)))
    assert withdrawn == ["done"] * ROUNDS
    assert set(deposited) <= {"done", "CONSENT_WITHDRAWN"}
    assert {row.state for row in world.rows(grant) if row.rcp == "embassy"} <= {"dead"}


def test_two_hosts_of_one_sender_at_once_keep_one_chain(
    world: World, ngo: Agency, embassy: Agency, race: Race
) -> None:
    given = world.consent(ngo, embassy)
    sides = []
    for _ in range(2):
        ngo.heads.clear()
        sides.append([deposit(world, ngo, given)])
    first, second = race(*sides)
    assert sorted(first + second) == ["SEQ_CONFLICT", "done"]
    assert world.count(manifest) == 1


def test_one_deposit_sent_twice_at_once_is_kept_once(
    world: World, ngo: Agency, embassy: Agency, race: Race
) -> None:
    call = deposit(world, ngo, world.consent(ngo, embassy))
    assert race([call], [call], [call]) == [["done"]] * 3
    assert world.count(manifest) == 1
    assert world.count(grant) == 2


def test_one_consent_sent_twice_at_once_is_kept_once(
    world: World, ngo: Agency, embassy: Agency, race: Race
) -> None:
    given = world.sign_consent(world.draft_consent(ngo, embassy))
    call = {"do": "register", "agency": ngo.id, "body": given.body}
    assert race([call], [call], [call]) == [["done"]] * 3
    assert world.count(consent) == 1


def test_two_consents_that_supersede_the_same_one_at_once_are_not_both_kept(
    world: World, ngo: Agency, embassy: Agency, race: Race
) -> None:
    first = world.consent(ngo, embassy)
    sides = []
    for _ in range(2):
        item = world.draft_consent(
            ngo,
            embassy,
            family=first.consent.family,
            subj=first.consent.subj,
            supersedes=first.consent.cid,
        )
        sides.append([{"do": "register", "agency": ngo.id, "body": world.sign_consent(item).body}])
    one, other = race(*sides)
    assert sorted(one + other) == ["CONFLICT", "done"]


def test_many_senders_to_one_inbox_leave_no_gap_for_a_cursor_to_skip(world: World, race: Race) -> None:
    embassy = world.agencies["embassy"]
    sides = []
    for number in range(3):
        snd = world.admit(f"sender-{number}")
        given = world.consent(snd, embassy)
        sides.append([deposit(world, snd, given) for _ in range(6)])
    assert race(*sides) == [["done"] * 6] * 3
    rows = sorted(row.inbox_pos for row in world.rows(grant) if row.rcp == "embassy")
    # Three consents came before: they have the first places.
    assert rows == list(range(4, 22))
    page = inbox.listing(world.hub, world.caller(embassy), cursor=None, limit=100, tags=None)
    assert len(page.body["items"]) == 18  # type: ignore[arg-type]


def test_mail_both_ways_at_once_does_not_deadlock(
    world: World, ngo: Agency, commission: Agency, race: Race
) -> None:
    sides = []
    for snd, rcp in ((ngo, commission), (commission, ngo)):
        given = world.consent(snd, rcp)
        sides.append([deposit(world, snd, given) for _ in range(8)])
    assert race(*sides) == [["done"] * 8] * 2
