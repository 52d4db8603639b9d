"""A member while the hub's log keys change: the old pin goes on, the new one is taken once both sign."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exchange.agency import Client
from exchange.log.checkpoint import LogKey, vkey
from exchange.member.pins import update_pins
from exchange.member.session import open_session
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid
from tests.integration.agency.exchange_world import PASSPHRASE, USER, Exchange

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def change(exchange: Exchange, *, finish: bool = False) -> None:
    """The hub's log keys change over, or have; the hub is started again."""
    exchange.stop()
    keys = exchange.hub.keys
    if finish:
        audit, directory = keys.audit_log, keys.directory_log
        assert isinstance(audit, LogKey)
        assert isinstance(directory, LogKey)
        new = replace(keys, audit_log=audit.current, directory_log=directory.current)
    else:
        assert isinstance(keys.audit_log, SigningKey)
        assert isinstance(keys.directory_log, SigningKey)
        new = replace(
            keys,
            audit_log=LogKey(SigningKey.generate(), keys.audit_log),
            directory_log=LogKey(SigningKey.generate(), keys.directory_log),
        )
    exchange.hub = replace(exchange.hub, keys=new)
    exchange.start()


def test_a_member_goes_through_a_change_of_both_log_keys(exchange: Exchange, ngo: Client) -> None:
    ngo.sync()
    change(exchange)
    assert ngo.sync().alarms == ()
    exchange.found("late")
    assert ngo.sync().new_events > 0
    changed = update_pins(ngo.session, exchange.deployment())
    assert set(changed) == {"directory_vkey", "audit_vkey"}
    home = exchange.folder / "ngo"
    ngo.close()
    change(exchange, finish=True)
    with exchange.client(home) as again:
        assert again.sync().alarms == ()
        assert len(again.agencies()) == 2
        (home / "directory" / "state.box").unlink()
    with exchange.client(home) as again:
        # From the pages, whose first ones bear the old signature alone.
        assert len(again.agencies()) == 2
        assert again.session.directory.verify_all() == again.session.directory.state().size


def test_a_member_that_slept_through_it_refuses_the_log(exchange: Exchange, ngo: Client) -> None:
    change(exchange)
    change(exchange, finish=True)
    with pytest.raises(CheckpointInvalid):
        ngo.sync()
    with pytest.raises(ConfigInvalid):
        update_pins(ngo.session, exchange.deployment())


def test_pins_of_another_deployment_or_an_unsigned_key_are_refused(exchange: Exchange, ngo: Client) -> None:
    pins = exchange.deployment()
    stranger = vkey(f"{pins.origin}/directory", SigningKey.generate().public.raw)
    for wrong in (
        replace(pins, origin="other.test"),
        replace(pins, pin=None),
        replace(pins, directory_vkey=stranger),
    ):
        with pytest.raises(ConfigInvalid):
            update_pins(ngo.session, wrong)
    assert update_pins(ngo.session, pins) == []
    assert update_pins(ngo.session, replace(pins, base_url="https://new.example")) == ["base_url"]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_new_pins_that_were_cut_short_leave_a_folder_that_opens(
    exchange: Exchange, ngo: Client, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    home, calls = exchange.folder / "ngo", 0
    new = replace(exchange.deployment(), base_url=f"http://localhost:{exchange.port}")
    save, write = type(ngo.session.keys).save, "exchange.member.pins.write_private"

    def dying(work):  # type: ignore[no-untyped-def]
        def run(*args, **options):  # type: ignore[no-untyped-def]
            nonlocal calls
            if calls == after:
                raise KeyboardInterrupt
            calls += 1
            return work(*args, **options)

        return run

    from exchange.member.files import write_private

    monkeypatch.setattr(type(ngo.session.keys), "save", dying(save))
    monkeypatch.setattr(write, dying(write_private))
    with pytest.raises(KeyboardInterrupt):
        update_pins(ngo.session, new)
    monkeypatch.undo()
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    open_session(home, USER, PASSPHRASE).close()
