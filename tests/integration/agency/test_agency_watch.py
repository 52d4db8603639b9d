"""`directory watch`: alarms that stand until somebody has looked, and a log that nobody witnesses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.agency import Client
from exchange.log.cosignature import Quorum, cosign, cosigner_vkey
from exchange.member.new_users import add_caseworker
from exchange.member.users import NewUser
from exchange.member.watching import acknowledge, watch
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import format_time, parse_time
from exchange_schemas.errors import CheckpointInvalid, LogFork, LogStale, NotPermitted, RecordUnknown
from tests.integration.agency.exchange_world import (
    Exchange,
    log_a_thiefs_key,
)
from tests.unit.agency.cli_runner import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_an_alarm_stands_until_an_approver_acknowledges_it(
    exchange: Exchange,
    ngo: Client,
    command_of: Callable[[Client], CommandLine],
) -> None:
    here = command_of(ngo)
    calm = here("directory", "watch", "--json").json
    assert (calm["alarms"], calm["failure"]) == ([], None)
    log_a_thiefs_key(ngo)
    for _ in range(2):
        said = here("directory", "watch", "--json", ok=False)
        assert said.code == 4
        (one,) = said.json["alarms"]
        assert one["event"] == "key"
        assert "ALARM: event" in said.err
    add_caseworker(ngo.session, NewUser("noor", b"noor's long passphrase", insecure=True))
    home = ngo.session.home.path
    with exchange.client(home, "noor", b"noor's long passphrase") as noor, pytest.raises(NotPermitted):
        acknowledge(noor.session, one["index"])
    with pytest.raises(RecordUnknown):
        acknowledge(ngo.session, 10_000)
    here("directory", "watch", "--acknowledge", str(one["index"]))
    here("directory", "watch", "--every", "10", "--acknowledge", str(one["index"]))
    assert "nothing that was not made here" in here("directory", "watch").out
    assert "verify from the first" in here("directory", "verify").out


def test_an_event_that_somebody_has_looked_at_is_no_alarm_when_the_copy_is_fetched_anew(
    exchange: Exchange, ngo: Client
) -> None:
    log_a_thiefs_key(ngo)
    (one,) = watch(ngo.session).alarms
    acknowledge(ngo.session, one.index)
    log_a_thiefs_key(ngo)
    home = ngo.session.home
    ngo.close()
    for file in home.directory.iterdir():
        file.unlink()
    with exchange.client(home.path) as again:
        found = again.sync().alarms
        # What nobody has looked at is told, and nothing else.
        assert len(found) == 1
        assert [alarm.index for alarm in watch(again.session).alarms] == [one.index + 1]


def test_an_alarm_survives_a_crash_right_after_the_event_was_seen(
    exchange: Exchange, ngo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_a_thiefs_key(ngo)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exchange.member.kept_directory.write_private", crash)
    with pytest.raises(KeyboardInterrupt):
        ngo.sync()
    monkeypatch.undo()
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    assert [one.event for one in watch(ngo.session).alarms] == ["key"]


def test_a_fork_is_an_alarm_of_the_watch(exchange: Exchange, ngo: Client) -> None:
    def shorter(path: str, body: bytes) -> bytes:
        if path != "/v1/directory/events":
            return body
        answer = json.loads(body)
        return json.dumps({**answer, "size": answer["size"] - 1}).encode()

    exchange.change = shorter
    report = watch(ngo.session)
    assert (report.failure, report.alarming, report.size) == ("LOG_FORK", True, None)


# -- witnesses -----------------------------------------------------------------------------------------

WITNESSES = {name: SigningKey.generate() for name in ("a.example", "b.example")}


@pytest.fixture
def witnessed(exchange: Exchange, ngo: Client) -> Callable[[timedelta], None]:
    """Name two witnesses in the NGO's pins; gives a function that lets both cosign what the hub shows."""
    vkeys = [cosigner_vkey(name, key.public.raw) for name, key in WITNESSES.items()]
    profile = ngo.session.profile
    pins = replace(profile.deployment, witnesses=Quorum.of(2, vkeys))
    ngo.session.directory.__init__(  # type: ignore[misc]
        ngo.session.home,
        replace(profile, deployment=pins),
        ngo.session.hub,
        ngo.session.store,
        ngo.session.store_key,
    )

    def let(age: timedelta, names: tuple[str, ...] = tuple(WITNESSES)) -> None:
        def cosigned(path: str, body: bytes) -> bytes:
            if path != "/v1/directory/events":
                return body
            answer = json.loads(body)
            note = answer["checkpoint"]
            when = exchange.hub.clock() - age
            lines = "".join(cosign(note, WITNESSES[name], name, when) for name in names)
            return json.dumps({**answer, "witnessed": note + lines}).encode()

        exchange.change = cosigned

    return let


def test_a_log_that_no_quorum_has_seen_for_a_day_is_stale(
    exchange: Exchange, ngo: Client, witnessed: Callable[..., None]
) -> None:
    with pytest.raises(LogStale):
        ngo.sync()
    witnessed(timedelta(0), ("a.example",))
    with pytest.raises(LogStale):
        ngo.sync()
    witnessed(timedelta(hours=25))
    with pytest.raises(LogStale):
        ngo.sync()
    assert watch(ngo.session).failure == "LOG_STALE"
    witnessed(timedelta(hours=23))
    ngo.sync()
    ngo.session.directory.ensure_fresh()
    exchange.change = None
    assert watch(ngo.session).failure is None


def test_an_old_cosignature_cannot_make_the_log_younger_or_older(
    exchange: Exchange, ngo: Client, witnessed: Callable[..., None]
) -> None:
    witnessed(timedelta(hours=1))
    ngo.sync()
    at = ngo.session.directory.witnessed_at()
    witnessed(timedelta(hours=20))
    ngo.sync()
    assert ngo.session.directory.witnessed_at() == at


def test_a_witnessed_checkpoint_of_another_tree_is_refused(
    exchange: Exchange, ngo: Client, witnessed: Callable[..., None]
) -> None:
    witnessed(timedelta(0))
    honest = exchange.change
    assert honest is not None

    def forged(path: str, body: bytes) -> bytes:
        if path != "/v1/directory/events":
            return body
        answer = json.loads(honest(path, body))
        lines = answer["witnessed"].split("\n")
        lines[1] = str(int(lines[1]) - 1)
        return json.dumps({**answer, "witnessed": "\n".join(lines)}).encode()

    exchange.change = forged
    with pytest.raises((LogFork, CheckpointInvalid)):
        ngo.sync()


def test_events_that_a_quorum_is_never_shown_make_the_log_stale_however_fresh_an_older_one_is(
    exchange: Exchange, ngo: Client, witnessed: Callable[..., None]
) -> None:
    """The hub keeps its witnesses at an old tree, and shows each member another continuation of it."""
    notes = list[str]()

    def frozen(path: str, body: bytes) -> bytes:
        if b'"checkpoint"' not in body:
            return body
        answer = json.loads(body)
        notes.append(answer["checkpoint"])
        now = exchange.hub.clock()
        lines = "".join(cosign(notes[0], key, name, now) for name, key in WITNESSES.items())
        return json.dumps({**answer, "witnessed": notes[0] + lines}).encode()

    exchange.change = frozen
    ngo.sync()
    log_a_thiefs_key(ngo)
    ngo.sync()
    later(ngo, timedelta(hours=23))
    ngo.sync()
    log_a_thiefs_key(ngo)
    ngo.sync()
    later(ngo, timedelta(hours=2))
    with pytest.raises(LogStale) as caught:
        ngo.sync()
    assert caught.value.rule == "L7-fresh"
    with pytest.raises(LogStale):
        ngo.session.directory.ensure_fresh()
    # A quorum that is shown more, but not all, takes the clock to what came after.
    notes[0] = notes[2]
    ngo.sync()
    later(ngo, timedelta(hours=23))
    with pytest.raises(LogStale):
        ngo.sync()
    witnessed(timedelta(0))
    ngo.sync()
    assert watch(ngo.session).failure is None


def later(client: Client, by: timedelta) -> None:
    """The sizes that no quorum has cosigned were first seen so much earlier."""
    row = client.session.store.get("directory", "unwitnessed")
    if row is None:
        return
    sizes = [[size, format_time(parse_time(at, field="at") - by)] for size, at in row["sizes"]]  # type: ignore[union-attr,misc]
    client.session.store.put("directory", "unwitnessed", {"sizes": sizes})
