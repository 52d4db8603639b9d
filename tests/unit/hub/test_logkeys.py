"""A log's key changes over: both keys sign until everybody has had time to pin the new one."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.hub.logkeys import CHANGE_LEAST, LogKeyFile, begin, finish
from exchange.log.checkpoint import Checkpoint, LogKey, open_checkpoint, sign_checkpoint, vkey
from exchange.log.tree import leaf_hash
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import CheckpointInvalid, Conflict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD, NEW = (SigningKey.from_seed(bytes([at]) * 32) for at in (1, 2))
LOG = "homeward.test/audit"
POINT = Checkpoint(LOG, 1, leaf_hash(b"entry"))
SINGLE = LogKeyFile(OLD, None, None)


def pinned(key: SigningKey) -> list[str]:
    return [vkey(LOG, key.public.raw)]


def test_while_it_changes_either_pin_opens_a_checkpoint() -> None:
    changing = begin(SINGLE, NOW, lambda: NEW)
    note = sign_checkpoint(POINT, changing.key)
    for key in (OLD, NEW):
        assert open_checkpoint(note, pinned(key)) == POINT
    assert changing.key.public == NEW.public
    spoiled = note.replace(note.splitlines()[-1][-9:], "AAAAAAAA=")
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(spoiled, pinned(OLD))


def test_afterwards_only_the_new_pin_opens_one() -> None:
    single = finish(begin(SINGLE, NOW, lambda: NEW), NOW + CHANGE_LEAST)
    note = sign_checkpoint(POINT, single.key)
    assert open_checkpoint(note, pinned(NEW)) == POINT
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(note, pinned(OLD))


def test_the_moves_have_their_order_and_their_time() -> None:
    with pytest.raises(Conflict):
        finish(SINGLE, NOW)
    changing = begin(SINGLE, NOW, lambda: NEW)
    assert isinstance(changing.key, LogKey)
    with pytest.raises(Conflict):
        begin(changing, NOW, lambda: OLD)
    with pytest.raises(Conflict):
        finish(changing, NOW + CHANGE_LEAST - timedelta(seconds=1))
    assert finish(changing, NOW, early=True).before is None
