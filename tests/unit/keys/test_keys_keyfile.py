"""Key files: private, bound, bounded, and honest about what is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nacl.exceptions
import nacl.pwhash
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange_keys.auth_key import AuthKey
from exchange_keys.box import StoreKey
from exchange_keys.keyfile import (
    Cost,
    KeyMaterial,
    PublicEntry,
    read_keyfile,
    read_keyfile_with_store_key,
    write_keyfile,
    write_keyfile_with_store_key,
)
from exchange_keys.keyfile_format import (
    MAX_FILE_BYTES,
    Header,
    PassphraseKdf,
    box_plaintext,
    file_bytes,
    parse_file,
    read_box,
)
from exchange_schemas.codec import b64u, encode, lp, sha256
from exchange_schemas.errors import (
    ConfigInvalid,
    Conflict,
    KeyFileCorrupt,
    Malformed,
    WrongPassphrase,
)
from tests.unit.keys.keys_factory import A, seed

PASSPHRASE = b"correct horse battery staple"
PUBLIC = (PublicEntry("envelope", A.envelope.public), PublicEntry("enc", A.enc.public))
SECRETS = {
    A.envelope.public.kid: A.envelope.seed,
    "enc": A.enc.seed,
    "auth": AuthKey.generate("PS256").secret,
}


def write(path: Path, **changes: Any) -> Path:
    options: dict[str, Any] = {
        "passphrase": PASSPHRASE,
        "cost": Cost.INSECURE,
        "label": "Agency A",
        "allow_insecure": True,
    }
    write_keyfile(path, SECRETS, PUBLIC, **{**options, **changes})
    return path


def read(path: Path, passphrase: bytes = PASSPHRASE) -> KeyMaterial:
    return read_keyfile(path, passphrase=passphrase, allow_insecure=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "agency.key")


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with its members changed and its checksum made right again."""
    members = json.loads(path.read_bytes())
    del members["sum"]
    change(members)
    members["sum"] = b64u(sha256(lp(b"hx1/keyfile", encode(members))))
    path.write_bytes(encode(members))
    return path


def test_a_key_file_comes_back_whole(path: Path) -> None:
    material = read(path)
    assert dict(material.secrets) == SECRETS
    assert material.secret("enc") == A.enc.seed
    assert material.public == PUBLIC
    assert [entry.kid for entry in material.public] == [A.envelope.public.kid, A.enc.public.kid]
    assert material.label == "Agency A"


def test_a_key_file_is_private_and_alone_in_its_folder(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_the_cost_stands_in_the_file_and_no_secret_does(path: Path) -> None:
    text = path.read_text()
    kdf = json.loads(text)["kdf"]
    assert (kdf["alg"], kdf["cost"], kdf["ops"], kdf["mem_kib"]) == ("argon2id", "INSECURE", 1, 8)
    for secret in SECRETS.values():
        assert b64u(secret) not in text


def test_a_missing_secret_is_named_as_a_missing_key(path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no such key"):
        read(path).secret("approver")


def test_opened_secrets_show_nothing_and_cannot_be_changed(path: Path) -> None:
    material = read(path)
    assert repr(material) == "<KeyMaterial: secret>"
    with pytest.raises(TypeError):
        material.secrets["enc"] = b""  # type: ignore[index]


def test_an_existing_key_file_is_never_replaced_by_accident(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(Conflict):
        write(path)
    assert path.read_bytes() == before
    write(path, replace=True, label="again")
    assert read(path).label == "again"


def test_a_wrong_passphrase_is_told_from_a_damaged_file(path: Path) -> None:
    with pytest.raises(WrongPassphrase) as wrong:
        read(path, b"incorrect horse")
    assert wrong.value.hint is not None
    damaged = bytearray(path.read_bytes())
    damaged[20] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(KeyFileCorrupt):
        read(path)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_accident_to_the_bytes_is_named_as_damage(path: Path, data: st.DataObject) -> None:
    original = path.read_bytes()
    at = data.draw(st.integers(0, len(original) - 1))
    changed = bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != original[at]))])
    for damaged in (original[:at] + changed + original[at + 1 :], original[:at]):
        with pytest.raises(KeyFileCorrupt):
            parse_file(damaged)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(v=2),
        lambda m: m.update(v=True),
        lambda m: m.update(typ="hx-event"),
        lambda m: m.update(label=7),
        lambda m: m.update(label="x" * 121),
        lambda m: m.update(label="a\x1b[0m"),
        lambda m: m.update(more=1),
        lambda m: m.pop("label"),
        lambda m: m.update(box=7),
        lambda m: m.update(box="!"),
        lambda m: m.update(public={}),
        lambda m: m.update(public=[{}]),
        lambda m: m["public"][0].update(kid=m["public"][1]["kid"]),
        lambda m: m["public"][0].update(alg="X-Wing"),
        lambda m: m["public"][0].update(alg=1),
        lambda m: m["public"][0].update(use=None),
        lambda m: m["public"][0].update(use="Envelope!"),
        lambda m: m["public"][0].update(key=""),
        lambda m: m.update(kdf=None),
        lambda m: m.update(kdf={"alg": "none"}),
        lambda m: m["kdf"].update(alg="scrypt"),
        lambda m: m["kdf"].update(cost=1),
        lambda m: m["kdf"].update(cost=""),
        lambda m: m["kdf"].update(salt="AA"),
        lambda m: m["kdf"].update(ops=True),
        lambda m: m["kdf"].update(ops="3"),
    ],
)
def test_a_file_of_another_structure_is_corrupt(path: Path, change: Callable[[Any], None]) -> None:
    with pytest.raises(KeyFileCorrupt):
        read(rewritten(path, change))


@pytest.mark.parametrize(
    ("ops", "mem_kib"), [(0, 8), (17, 8), (2**40, 8), (1, 7), (1, 0), (1, 4 * 1024 * 1024 + 1), (1, -8)]
)
def test_a_cost_that_would_exhaust_the_reader_is_refused_before_it_derives(
    path: Path, monkeypatch: pytest.MonkeyPatch, ops: int, mem_kib: int
) -> None:
    def never(*_args: object) -> bytes:
        raise AssertionError("derived")

    monkeypatch.setattr(nacl.pwhash.argon2id, "kdf", never)
    with pytest.raises(KeyFileCorrupt, match="bounds"):
        read(rewritten(path, lambda members: members["kdf"].update(ops=ops, mem_kib=mem_kib)))


def test_the_greatest_allowed_cost_is_within_the_bounds(path: Path) -> None:
    changed = rewritten(path, lambda members: members["kdf"].update(ops=16, mem_kib=4 * 1024 * 1024))
    header, _ = parse_file(changed.read_bytes())
    assert header.kdf == PassphraseKdf("INSECURE", 16, 4 * 1024 * 1024, header.kdf.salt)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(label="Agency B"),
        lambda m: m.update(public=[]),
        lambda m: m["public"].reverse(),
        lambda m: m["public"][0].update(use="approver"),
        lambda m: m["kdf"].update(cost="moderate"),
    ],
)
def test_a_clear_part_that_was_exchanged_is_found_after_opening(
    path: Path, change: Callable[[Any], None]
) -> None:
    with pytest.raises(KeyFileCorrupt, match="altered"):
        read(rewritten(path, change))


def test_an_altered_box_is_a_wrong_passphrase_with_a_hint_that_it_may_be_damage(path: Path) -> None:
    with pytest.raises(WrongPassphrase) as caught:
        read(rewritten(path, lambda members: members.update(box=b64u(bytes(100)))))
    assert "altered" in str(caught.value.hint)
    with pytest.raises(WrongPassphrase):
        read(rewritten(path, lambda members: members.update(box="")))


def header() -> Header:
    return Header(PassphraseKdf("INSECURE", 1, 8, bytes(16)), "", ())


@pytest.mark.parametrize(
    "plaintext", [b"", b"{}", b'{"header":{},"secrets":{}}', b"[]", encode({"header": header().to_json()})]
)
def test_an_opened_box_of_another_structure_is_corrupt(plaintext: bytes) -> None:
    with pytest.raises(KeyFileCorrupt):
        read_box(header(), plaintext)


@pytest.mark.parametrize("secrets", [[], None, {"enc": 1}, {"enc": "!"}])
def test_opened_secrets_of_another_shape_are_corrupt(secrets: Any) -> None:
    with pytest.raises(KeyFileCorrupt):
        read_box(header(), encode({"header": header().to_json(), "secrets": secrets}))


@pytest.mark.parametrize(
    "secrets",
    [
        {"": b"x"},
        {"a b": b"x"},
        {"x" * 101: b"x"},
        {"enc": b""},
        {"enc": bytes(8193)},
        {f"k{i}": b"x" for i in range(513)},
    ],
)
def test_secrets_with_bad_names_or_sizes_are_not_written(secrets: dict[str, bytes]) -> None:
    with pytest.raises(Malformed):
        box_plaintext(header(), secrets)


def test_a_file_over_its_limit_is_not_written() -> None:
    with pytest.raises(Malformed):
        file_bytes(header(), bytes(MAX_FILE_BYTES))


def test_a_cost_has_a_name() -> None:
    assert [Cost.named(cost.label) for cost in Cost] == list(Cost)
    assert (Cost.MODERATE.ops, Cost.MODERATE.mem_kib) == (3, 256 * 1024)
    assert (Cost.SENSITIVE.ops, Cost.SENSITIVE.mem_kib) == (4, 1024 * 1024)
    with pytest.raises(ConfigInvalid):
        Cost.named("insecure")


def test_the_insecure_cost_is_refused_unless_it_is_allowed(path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="INSECURE"):
        write(path.parent / "other.key", allow_insecure=False)
    assert not (path.parent / "other.key").exists()
    with pytest.raises(ConfigInvalid, match="INSECURE"):
        read_keyfile(path, passphrase=PASSPHRASE)


def test_a_file_that_says_moderate_and_is_weak_is_refused(path: Path) -> None:
    weak = rewritten(path, lambda members: members["kdf"].update(cost="moderate", ops=3, mem_kib=1024))
    with pytest.raises(ConfigInvalid, match="INSECURE"):
        read_keyfile(weak, passphrase=PASSPHRASE)


def test_the_default_cost_is_moderate_and_derives_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def cheap(_size: int, passphrase: bytes, salt: bytes, ops: int, mem: int) -> bytes:
        asked.append((ops, mem))
        return sha256(passphrase + salt)

    monkeypatch.setattr(nacl.pwhash.argon2id, "kdf", cheap)
    write_keyfile(tmp_path / "k", SECRETS, PUBLIC, passphrase=PASSPHRASE)
    assert dict(read_keyfile(tmp_path / "k", passphrase=PASSPHRASE).secrets) == SECRETS
    assert asked == [(3, 256 * 1024 * 1024)] * 2


def test_a_short_passphrase_makes_no_real_key_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="12 characters"):
        write_keyfile(tmp_path / "k", SECRETS, PUBLIC, passphrase=b"short")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_enough_memory_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_args: object) -> bytes:
        raise nacl.exceptions.RuntimeError("Unexpected failure in key derivation")

    monkeypatch.setattr(nacl.pwhash.argon2id, "kdf", out_of_memory)
    with pytest.raises(ConfigInvalid, match="memory"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"not a key file", bytes(1000), b"x" * (MAX_FILE_BYTES + 5)])
def test_a_file_that_is_no_key_file_is_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(KeyFileCorrupt):
        read(tmp_path / "k")


def test_a_file_that_cannot_be_read_is_a_setting(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigInvalid, match="cannot be read"):
            read(path)


# -- under a store key ----------------------------------------


STORE = StoreKey(seed("store"))


def test_a_key_file_under_a_store_key_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "auth.key"
    write_keyfile_with_store_key(path, SECRETS, PUBLIC, key=STORE, label="host 1")
    material = read_keyfile_with_store_key(path, key=STORE)
    assert (dict(material.secrets), material.public, material.label) == (SECRETS, PUBLIC, "host 1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_bytes())["kdf"] == {"alg": "store"}
    with pytest.raises(Conflict):
        write_keyfile_with_store_key(path, SECRETS, PUBLIC, key=STORE)
    write_keyfile_with_store_key(path, {}, (), key=STORE, replace=True)
    assert read_keyfile_with_store_key(path, key=STORE).public == ()


def test_another_store_key_and_an_exchanged_header_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "auth.key"
    write_keyfile_with_store_key(path, SECRETS, PUBLIC, key=STORE)
    with pytest.raises(WrongPassphrase):
        read_keyfile_with_store_key(path, key=StoreKey(seed("other")))
    with pytest.raises(KeyFileCorrupt):
        read_keyfile_with_store_key(rewritten(path, lambda m: m.update(label="x")), key=STORE)


def test_each_kind_of_key_file_says_how_it_opens(path: Path, tmp_path: Path) -> None:
    stored = tmp_path / "stored.key"
    write_keyfile_with_store_key(stored, SECRETS, PUBLIC, key=STORE)
    with pytest.raises(ConfigInvalid, match="store key"):
        read(stored)
    with pytest.raises(ConfigInvalid, match="passphrase"):
        read_keyfile_with_store_key(path, key=STORE)
