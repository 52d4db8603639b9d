"""Cosignatures of witnesses: the quorum's time, and everything that must not count towards it."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint, vkey
from exchange.log.cosignature import Quorum, cosign, cosigner_vkey, parse_cosigner
from exchange.log.note import key_id, parse_vkey, signature_line, split_note
from exchange.log.tree import leaf_hash
from exchange_keys.signing import SigningKey, verify_ed25519
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN = "homeward.test/directory"
LOG = SigningKey.from_seed(bytes(32))
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 1, leaf_hash(b"event")), LOG)
NAMES = ("a.example", "b.example", "c.example")
KEYS = {name: SigningKey.from_seed(bytes([at]) * 32) for at, name in enumerate(NAMES, 1)}
VKEYS = [cosigner_vkey(name, key.public.raw) for name, key in KEYS.items()]
TWO = Quorum.of(2, VKEYS)


def cosigned(*lines: tuple[str, timedelta], note: str = NOTE) -> str:
    return note + "".join(cosign(NOTE, KEYS[name], name, NOW - age) for name, age in lines)


def test_the_quorum_is_as_old_as_the_last_witness_it_needs() -> None:
    hours = [timedelta(hours=n) for n in range(4)]
    note = cosigned((NAMES[0], hours[1]), (NAMES[1], hours[3]), (NAMES[2], hours[2]))
    assert TWO.cosigned_at(note, NOW) == NOW - hours[2]
    assert Quorum.of(1, VKEYS).cosigned_at(note, NOW) == NOW - hours[1]
    assert Quorum.of(3, VKEYS).cosigned_at(note, NOW) == NOW - hours[3]
    assert open_checkpoint(note, [vkey(ORIGIN, LOG.public.raw)]).size == 1


def test_one_witness_counts_once_however_often_it_signs() -> None:
    note = cosigned((NAMES[0], timedelta(hours=2)), (NAMES[0], timedelta(hours=1)))
    assert TWO.cosigned_at(note, NOW) is None
    assert Quorum.of(1, VKEYS).cosigned_at(note, NOW) == NOW - timedelta(hours=1)


def test_too_few_strangers_and_plain_signatures_make_no_quorum() -> None:
    stranger = SigningKey.from_seed(bytes([9]) * 32)
    lines = cosign(NOTE, stranger, "d.example", NOW) + cosign(NOTE, stranger, NAMES[1], NOW)
    assert TWO.cosigned_at(cosigned((NAMES[0], timedelta())) + lines, NOW) is None
    plain = signature_line(
        NAMES[1], key_id(NAMES[1], 1, KEYS[NAMES[1]].public.raw), KEYS[NAMES[1]].sign(b"x")
    )
    assert TWO.cosigned_at(cosigned((NAMES[0], timedelta())) + plain, NOW) is None
    assert TWO.cosigned_at(NOTE, NOW) is None


def test_a_time_from_the_future_proves_nothing() -> None:
    note = cosigned((NAMES[0], timedelta()), (NAMES[1], -timedelta(seconds=121)))
    assert TWO.cosigned_at(note, NOW) is None
    assert TWO.cosigned_at(note, NOW + timedelta(seconds=1)) == NOW


def test_a_cosignature_of_another_checkpoint_or_another_time_is_refused() -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, 2, leaf_hash(b"event")), LOG)
    moved = cosign(other, KEYS[NAMES[0]], NAMES[0], NOW)
    with pytest.raises(CheckpointInvalid) as caught:
        TWO.cosigned_at(NOTE + moved, NOW)
    assert caught.value.rule == "W2-signature"
    signature = KEYS[NAMES[0]].sign(b"whatever")
    for data, rule in (
        (int(NOW.timestamp()).to_bytes(8, "big") + signature, "W2-signature"),
        (bytes([255]) * 8 + signature, "W1-length"),
        (signature, "W1-length"),
    ):
        line = signature_line(NAMES[0], parse_cosigner(VKEYS[0]).key_id, data)
        with pytest.raises(CheckpointInvalid) as caught:
            TWO.cosigned_at(NOTE + line, NOW)
        assert caught.value.rule == rule


def test_a_policy_that_one_party_could_meet_alone_is_refused() -> None:
    twin = cosigner_vkey("twin.example", KEYS[NAMES[0]].public.raw)
    for needed, vkeys in ((0, VKEYS), (4, VKEYS), (1, []), (2, [*VKEYS, VKEYS[0]]), (2, [*VKEYS, twin])):
        with pytest.raises(ConfigInvalid):
            Quorum.of(needed, vkeys)


def test_a_log_key_is_no_witness_and_a_witness_is_no_log_key() -> None:
    with pytest.raises(ConfigInvalid):
        parse_cosigner(vkey(NAMES[0], KEYS[NAMES[0]].public.raw))
    with pytest.raises(ConfigInvalid):
        parse_vkey(VKEYS[0])


# The signed message of the specification's example, as it stands there.
SPEC_MESSAGE = b"""cosignature/v1
time 1679315147
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""


def test_what_is_signed_is_the_message_of_the_specification() -> None:
    text = "".join(line.decode() + "\n" for line in SPEC_MESSAGE.splitlines()[2:])
    key = KEYS[NAMES[0]]
    line = cosign(text + "\n" + cosign_line(key), key, NAMES[0], datetime.fromtimestamp(1679315147, UTC))
    (signed,) = split_note(text + "\n" + line)[1]
    assert signed.key_id == key_id(NAMES[0], 4, key.public.raw)
    assert signed.signature[:8] == (1679315147).to_bytes(8, "big")
    verify_ed25519(key.public.raw, SPEC_MESSAGE, signed.signature[8:])


def cosign_line(key: SigningKey) -> str:
    return signature_line(NAMES[0], key_id(NAMES[0], 1, key.public.raw), bytes(64))
