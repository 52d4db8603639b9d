"""A witness over its folder: what it cosigns is durable first, survives a restart, and never goes back."""

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessKey, WitnessStore
from exchange.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint, vkey
from exchange.log.cosignature import newest_cosignatures, parse_cosigner
from exchange.log.note import key_id, signature_line
from exchange.log.tree import Frontier, consistency_proof, leaf_hash, node_hash
from exchange.log.witnessing import SIZE_TYPE, Submission, origin_hash
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ConfigInvalid, Conflict, LogIncomplete, StoreLocked, WrongPassphrase

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AUDIT, DIRECTORY = "hub.test/audit", "hub.test/directory"
LOG = SigningKey.from_seed(bytes(32))
PASSPHRASE = b"correct horse battery"
LEAVES = [leaf_hash(bytes([number])) for number in range(20)]


def node(level: int, index: int) -> bytes:
    if level == 0:
        return LEAVES[index]
    return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))


def note(size: int, origin: str = AUDIT, *, key: SigningKey = LOG) -> str:
    return sign_checkpoint(Checkpoint(origin, size, Frontier.empty().extend(LEAVES[:size]).root()), key)


def body(old: int, size: int, origin: str = AUDIT) -> bytes:
    return Submission(old, tuple(consistency_proof(old, size, node)), note(size, origin)).to_bytes()


@pytest.fixture
def store(tmp_path: Path) -> WitnessStore:
    made = WitnessStore(tmp_path / "witness")
    made.create(
        "witness.test/w1",
        PASSPHRASE,
        [vkey(AUDIT, LOG.public.raw), vkey(DIRECTORY, LOG.public.raw)],
        insecure=True,
    )
    return made


@pytest.fixture
def key(store: WitnessStore) -> WitnessKey:
    return store.open_key(PASSPHRASE, insecure=True)


def times(text: str, key: WitnessKey) -> list[datetime]:
    return [
        one.when for one in newest_cosignatures(text, [parse_cosigner(key.vkey)], NOW + timedelta(days=1))
    ]


def test_a_cosignature_verifies_under_the_checkpoint(store: WitnessStore, key: WitnessKey) -> None:
    reply = Witness(store, key, now=lambda: NOW).add_checkpoint(body(0, 7))
    assert reply.status == 200
    assert times(note(7) + reply.body.decode(), key) == [NOW]


def test_both_logs_of_a_hub_are_kept_apart(store: WitnessStore, key: WitnessKey) -> None:
    witness = Witness(store, key, now=lambda: NOW)
    assert witness.add_checkpoint(body(0, 7)).status == 200
    assert witness.add_checkpoint(body(0, 3, DIRECTORY)).status == 200
    assert witness.add_checkpoint(body(3, 7, DIRECTORY)).status == 200
    assert witness.add_checkpoint(body(7, 9)).status == 200


def test_a_restarted_witness_remembers(store: WitnessStore, key: WitnessKey) -> None:
    assert Witness(store, key).add_checkpoint(body(0, 7)).status == 200
    reply = Witness(store, key).add_checkpoint(body(0, 5))
    assert (reply.status, reply.content_type, reply.body) == (409, SIZE_TYPE, b"7\n")
    assert Witness(store, key).add_checkpoint(body(7, 7)).status == 200


def test_what_is_served_has_the_log_s_line_and_the_witness_s_and_no_other(
    store: WitnessStore, key: WitnessKey
) -> None:
    witness = Witness(store, key, now=lambda: NOW)
    assert witness.checkpoint(origin_hash(AUDIT)).status == 404
    assert witness.checkpoint("0" * 64).status == 404
    stranger = signature_line("stranger", key_id("stranger", 1, bytes(32)), bytes(64))
    sent = Submission(0, (), note(7) + stranger).to_bytes()
    line = witness.add_checkpoint(sent).body.decode()
    reply = witness.checkpoint(origin_hash(AUDIT))
    assert (reply.status, reply.body.decode()) == (200, note(7) + line)


def test_it_is_on_the_disk_before_it_is_answered(
    store: WitnessStore, key: WitnessKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def watch(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", watch)
    Witness(store, key).add_checkpoint(body(0, 7))
    assert len(synced) == 2
    assert synced[1] == str(store.folder / "state")


def test_a_full_disk_means_no_cosignature_and_no_change(
    store: WitnessStore, key: WitnessKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness(store, key)
    assert witness.add_checkpoint(body(0, 7)).status == 200

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert witness.add_checkpoint(body(7, 9)).status == 503
    assert (
        open_checkpoint(
            witness.checkpoint(origin_hash(AUDIT)).body.decode(), [vkey(AUDIT, LOG.public.raw)]
        ).size
        == 7
    )
    assert witness.add_checkpoint(body(7, 9)).status == 200


def test_a_clock_that_goes_back_does_not_take_the_time_back(store: WitnessStore, key: WitnessKey) -> None:
    clock = [NOW]
    witness = Witness(store, key, now=lambda: clock[0])
    witness.add_checkpoint(body(0, 7))
    clock[0] = NOW - timedelta(hours=1)
    assert times(note(9) + witness.add_checkpoint(body(7, 9)).body.decode(), key) == [NOW]
    again = Witness(store, key, now=lambda: clock[0])
    assert times(note(9) + again.add_checkpoint(body(9, 9)).body.decode(), key) == [NOW]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-5],
        lambda text: "",
        lambda text: text.replace("\n7\n", "\n6\n"),
        lambda text: "\n".join(text.split("\n")[:-2]) + "\n",
        lambda text: text.encode().replace(b"hub", b"\xff\xff\xff").decode("latin-1"),
    ],
)
def test_a_damaged_state_is_never_taken_for_none(
    store: WitnessStore, key: WitnessKey, damage: Callable[[str], str]
) -> None:
    Witness(store, key).add_checkpoint(body(0, 7))
    (path,) = (store.folder / "state").iterdir()
    path.write_text(damage(path.read_text("utf-8")), "latin-1" if "\xff" in damage("hub") else "utf-8")
    with pytest.raises(LogIncomplete):
        Witness(store, key)


def test_a_state_that_goes_bad_while_serving_is_not_shown(store: WitnessStore, key: WitnessKey) -> None:
    witness = Witness(store, key)
    witness.add_checkpoint(body(0, 7))
    (path,) = (store.folder / "state").iterdir()
    path.write_bytes(b"\xff")
    assert witness.checkpoint(origin_hash(AUDIT)).status == 503


def test_a_missing_state_folder_is_never_taken_for_none(store: WitnessStore, key: WitnessKey) -> None:
    (store.folder / "state").rmdir()
    with pytest.raises(LogIncomplete):
        Witness(store, key)


def test_a_state_that_another_witness_wrote_is_refused(
    store: WitnessStore, key: WitnessKey, tmp_path: Path
) -> None:
    Witness(store, key).add_checkpoint(body(0, 7))
    other = WitnessStore(tmp_path / "other")
    theirs = other.create("witness.test/w2", PASSPHRASE, [vkey(AUDIT, LOG.public.raw)], insecure=True)
    (path,) = (store.folder / "state").iterdir()
    (other.folder / "state" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(LogIncomplete):
        Witness(other, theirs)


def test_a_log_may_change_its_key_while_both_are_known(store: WitnessStore, key: WitnessKey) -> None:
    Witness(store, key).add_checkpoint(body(0, 7))
    new = SigningKey.from_seed(bytes([5]) * 32)
    proof = tuple(consistency_proof(7, 9, node))
    sent = Submission(7, proof, note(9, key=new)).to_bytes()
    assert Witness(store, key).add_checkpoint(sent).status == 403
    store.add_log(vkey(AUDIT, new.public.raw))
    assert Witness(store, key).add_checkpoint(sent).status == 200
    with pytest.raises(ConfigInvalid):
        store.add_log(vkey(AUDIT, new.public.raw))


def test_one_process_serves_a_folder(store: WitnessStore) -> None:
    with store.locked(), pytest.raises(StoreLocked), store.locked():
        pass


def test_a_witness_is_made_once_and_opens_with_its_passphrase_only(store: WitnessStore) -> None:
    with pytest.raises(Conflict):
        store.create("witness.test/w1", PASSPHRASE, [vkey(AUDIT, LOG.public.raw)], insecure=True)
    with pytest.raises(WrongPassphrase):
        store.open_key(b"another", insecure=True)


@pytest.mark.parametrize(("name", "logs"), [("w", []), ("a b", None), ("", None), ("w", ["nonsense"])])
def test_a_witness_without_a_name_or_a_log_is_not_made(
    tmp_path: Path, name: str, logs: list[str] | None
) -> None:
    known = [vkey(AUDIT, LOG.public.raw)] if logs is None else logs
    with pytest.raises(ConfigInvalid):
        WitnessStore(tmp_path / "w").create(name, PASSPHRASE, known, insecure=True)
    assert not (tmp_path / "w" / "witness.key").exists()
