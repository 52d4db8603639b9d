"""The hub's keys: made once, sealed, rotated without a valid token breaking."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exchange.hub.hubkeys import (
    HubKeys,
    create_hub_keys,
    load_hub_keys,
    replaced_token_keys,
    rotated_token_keys,
)
from exchange.hub.services.hub import open_hub
from exchange.hub.settings import Settings
from exchange.hub.tokenfile import EVERY_S
from exchange_keys.keyfile import Cost, PublicEntry, write_keyfile
from exchange_schemas.errors import ConfigInvalid, Conflict, KeyFileCorrupt, Unavailable, WrongPassphrase
from exchange_schemas.ids import Kid

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
PASSPHRASE = b"correct horse battery staple"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_bytes(PASSPHRASE + b"\n")
    return Settings(
        origin="exchange.example",
        base_url="https://exchange.example",
        database_url=f"sqlite:///{tmp_path}/data/hub.sqlite",
        data_dir=tmp_path / "data",
        guard_dir=tmp_path / "guard",
        key_passphrase_file=passphrase,
        environment="development",
        insecure_kdf=True,
    )


def rotate_token_key(settings: Settings, now: datetime) -> HubKeys:
    return rotated_token_keys(settings, now).write()


def kids(keys: HubKeys) -> list[Kid]:
    return [key.public.kid for key in keys.published()]


def test_what_is_made_is_what_is_loaded(settings: Settings) -> None:
    made = create_hub_keys(settings, NOW)
    loaded = load_hub_keys(settings)
    assert kids(made) == kids(loaded)
    assert [item.not_before for item in made.token] == [item.not_before for item in loaded.token]
    assert made.audit_log.public == loaded.audit_log.public
    assert made.directory_log.public == loaded.directory_log.public
    assert made.audit_log.public != made.directory_log.public
    assert open_hub(settings).keys.audit_log.public == made.audit_log.public


def test_key_files_are_for_their_owner_alone_and_hold_no_secret_in_the_clear(settings: Settings) -> None:
    made = create_hub_keys(settings, NOW)
    found = sorted(settings.keys_dir.iterdir())
    assert [path.name for path in found] == ["audit-log.key", "directory-log.key", "hub.key", "token.key"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in found)
    assert settings.keys_dir.stat().st_mode & 0o077 == 0
    assert made.audit_log.seed not in b"".join(path.read_bytes() for path in found)


def test_keys_are_never_made_over_others(settings: Settings) -> None:
    create_hub_keys(settings, NOW)
    for gone in ("token", "audit-log"):
        (settings.keys_dir / f"{gone}.key").unlink()
        with pytest.raises(Conflict):
            create_hub_keys(settings, NOW)


def test_the_current_key_signs_and_the_next_is_published_before(settings: Settings) -> None:
    keys = create_hub_keys(settings, NOW)
    current, upcoming = keys.published()
    assert keys.token_key(NOW).public.kid == current.public.kid
    assert keys.token_key(NOW + timedelta(days=400)).public.kid == current.public.kid
    assert upcoming.public.kid != current.public.kid
    with pytest.raises(Unavailable):
        keys.token_key(NOW - timedelta(seconds=2))


def test_a_rotation_moves_every_key_one_state_on_and_breaks_no_token(settings: Settings) -> None:
    before = create_hub_keys(settings, NOW)
    current, upcoming = kids(before)
    later = NOW + timedelta(hours=2)
    after = rotate_token_key(settings, later)
    assert kids(after)[:2] == [current, upcoming]
    assert after.token_key(later).public.kid == upcoming
    assert after.token_key(later - timedelta(minutes=1)).public.kid == current
    # A worker that was not restarted knows every key that now signs, and the other way round.
    assert after.token_key(later).public.kid in kids(before)
    assert before.token_key(later).public.kid in kids(after)
    assert kids(load_hub_keys(settings)) == kids(after)

    with pytest.raises(Conflict):
        rotate_token_key(settings, later + timedelta(minutes=59))
    last = rotate_token_key(settings, later + timedelta(hours=2))
    assert current not in kids(last)
    assert kids(last)[0] == upcoming
    assert len(last.token) == 3
    assert last.audit_log.public == before.audit_log.public


def test_loaded_keys_follow_a_rotation_and_are_the_same_object_until_then(settings: Settings) -> None:
    create_hub_keys(settings, NOW)
    loaded = load_hub_keys(settings)
    before = loaded.present()
    assert loaded.present() is before
    rotate_token_key(settings, NOW + timedelta(hours=2))
    time.sleep(EVERY_S)
    assert loaded.present() is not before
    assert kids(loaded) == kids(load_hub_keys(settings))


def test_stolen_keys_are_all_replaced_at_any_time(settings: Settings) -> None:
    before = create_hub_keys(settings, NOW)
    rotate_token_key(settings, NOW)
    after = replaced_token_keys(settings, NOW + timedelta(seconds=5)).write()
    assert kids(load_hub_keys(settings)) == kids(after)
    assert not set(kids(after)) & set(kids(before))
    assert after.token_key(NOW + timedelta(seconds=5)).public.kid == kids(after)[0]
    assert after.audit_log.public == before.audit_log.public


def test_without_a_passphrase_source_nothing_is_made_or_loaded(settings: Settings) -> None:
    silent = replace(settings, key_passphrase_file=None)
    for use in (load_hub_keys, lambda s: create_hub_keys(s, NOW), lambda s: rotate_token_key(s, NOW)):
        with pytest.raises(ConfigInvalid, match="HOMEWARD_KEY_PASSPHRASE_FILE"):
            use(silent)


def test_a_passphrase_may_come_over_a_descriptor(settings: Settings) -> None:
    made = create_hub_keys(settings, NOW)
    with Path(f"{settings.key_passphrase_file}").open("rb") as file:
        by_fd = replace(settings, key_passphrase_file=None, key_passphrase_fd=file.fileno())
        assert kids(load_hub_keys(by_fd)) == kids(made)


@pytest.mark.parametrize("spoil", ["short", "open"])
def test_a_bad_passphrase_of_the_hub_is_told_from_that_of_an_operator(settings: Settings, spoil: str) -> None:
    passphrase = Path(f"{settings.key_passphrase_file}")
    if spoil == "short":
        passphrase.write_bytes(b"short\n")
    else:
        passphrase.chmod(0o644)
    with pytest.raises(ConfigInvalid, match=r"^HOMEWARD_KEY_PASSPHRASE_FILE: ") as caught:
        create_hub_keys(settings, NOW)
    assert caught.value.hint is not None
    assert not (settings.keys_dir / "token.key").exists()


def test_another_passphrase_or_a_damaged_file_opens_nothing(settings: Settings) -> None:
    create_hub_keys(settings, NOW)
    passphrase = Path(f"{settings.key_passphrase_file}")
    passphrase.write_bytes(b"another passphrase\n")
    with pytest.raises(WrongPassphrase):
        load_hub_keys(settings)
    passphrase.write_bytes(PASSPHRASE)
    path = settings.keys_dir / "token.key"
    path.write_bytes(path.read_bytes()[:-5] + b'xxx"}')
    with pytest.raises(KeyFileCorrupt):
        load_hub_keys(settings)
    path.unlink()
    with pytest.raises(ConfigInvalid):
        load_hub_keys(settings)


def test_cheap_keys_are_not_loaded_outside_tests(settings: Settings) -> None:
    create_hub_keys(settings, NOW)
    with pytest.raises(ConfigInvalid):
        load_hub_keys(replace(settings, insecure_kdf=False))


@pytest.mark.parametrize(
    "schedule",
    [b"{}", b"[1]", b'[["x"]]', b'[["",""]]', b'[["2026-13-01T00:00:00Z","x"]]', b"no", b'[[1,"k"]]'],
)
def test_a_schedule_that_is_none_is_a_damaged_file(settings: Settings, schedule: bytes) -> None:
    made = create_hub_keys(settings, NOW)
    entry = PublicEntry("token", made.token[0].key.public)
    write_keyfile(
        settings.keys_dir / "token.key",
        {"schedule": schedule, "k": made.token[0].key.secret},
        [entry],
        passphrase=PASSPHRASE,
        cost=Cost.INSECURE,
        replace=True,
        allow_insecure=True,
    )
    with pytest.raises((KeyFileCorrupt, ConfigInvalid)):
        load_hub_keys(settings)
