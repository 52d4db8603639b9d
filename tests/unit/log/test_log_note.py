"""Signed notes, checkpoints and proofs: what is accepted, and one test for each way to spoil them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.log.checkpoint import Checkpoint, open_checkpoint, parse_vkey, sign_checkpoint, vkey
from exchange.log.note import VerifierKey, join_note, key_id, open_note, signature_line, split_note
from exchange.log.proof import format_proof, parse_proof, verify_entry
from exchange.log.tree import Frontier, leaf_hash, proof_at_append
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid, ProofInvalid

ORIGIN = "homeward.test/audit"
KEY = SigningKey.from_seed(bytes(32))
OTHER = SigningKey.from_seed(bytes([1]) * 32)
VKEY = vkey(ORIGIN, KEY.public.raw)
CHECKPOINT = Checkpoint(ORIGIN, 1, leaf_hash(b"entry"))
NOTE = sign_checkpoint(CHECKPOINT, KEY)
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def line_of(name: str, key: SigningKey, text: str) -> str:
    return signature_line(name, key_id(name, 1, key.public.raw), key.sign(text.encode()))


def test_the_example_of_the_signed_note_specification_opens() -> None:
    opened = open_note(SPEC_NOTE, [parse_vkey(SPEC_VKEY)])
    assert opened.text == "This is an example message.\n"
    assert [signer.name for signer in opened.signers] == ["example.com/foo"]
    assert vkey("example.com/foo", opened.signers[0].public) == SPEC_VKEY


def test_a_signed_checkpoint_opens_with_its_key() -> None:
    assert open_checkpoint(NOTE, [VKEY]) == CHECKPOINT
    assert open_checkpoint(NOTE, [parse_vkey(VKEY)], origin=ORIGIN) == CHECKPOINT
    assert sign_checkpoint(CHECKPOINT, KEY, ORIGIN) == NOTE


def test_unknown_lines_are_ignored_even_under_a_known_name_or_id() -> None:
    stranger = line_of("witness.test", OTHER, CHECKPOINT.text())
    same_name = line_of(ORIGIN, OTHER, CHECKPOINT.text())
    same_id = signature_line("someone", parse_vkey(VKEY).key_id, bytes(64))
    assert open_checkpoint(NOTE + stranger + same_name + same_id, [VKEY]) == CHECKPOINT


def test_two_keys_of_a_log_may_sign_while_they_change_over() -> None:
    note = NOTE + line_of(ORIGIN, OTHER, CHECKPOINT.text())
    second = vkey(ORIGIN, OTHER.public.raw)
    for pins in ([VKEY], [second], [VKEY, second]):
        assert open_checkpoint(note, pins) == CHECKPOINT
    opened = open_note(note + note.split("\n\n")[1], [parse_vkey(VKEY), parse_vkey(second)])
    assert [key.public for key in opened.signers] == [KEY.public.raw, OTHER.public.raw]


def test_a_bad_line_of_a_known_key_spoils_the_note() -> None:
    note = NOTE + line_of(ORIGIN, KEY, "something else\n")
    with pytest.raises(CheckpointInvalid) as caught:
        open_checkpoint(note, [VKEY])
    assert caught.value.rule == "N2-signature"


@pytest.mark.parametrize("length", [1, 63, 64, 65])
def test_a_signature_of_zeros_or_another_length_is_refused(length: int) -> None:
    note = join_note(CHECKPOINT.text(), [signature_line(ORIGIN, parse_vkey(VKEY).key_id, bytes(length))])
    with pytest.raises(CheckpointInvalid) as caught:
        open_checkpoint(note, [VKEY])
    assert caught.value.rule == "N2-signature"


def test_a_note_that_no_pinned_key_signed_is_refused() -> None:
    for pins in ([], [vkey(ORIGIN, OTHER.public.raw)], [vkey("homeward.test/other", KEY.public.raw)]):
        with pytest.raises(CheckpointInvalid) as caught:
            open_checkpoint(NOTE, pins)
        assert caught.value.rule == "N3-unsigned"


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(CheckpointInvalid) as caught:
        open_checkpoint(NOTE, [VKEY], origin="homeward.test/directory")
    assert caught.value.rule == "C2-origin"
    foreign = sign_checkpoint(CHECKPOINT, KEY, "witness.test")
    with pytest.raises(CheckpointInvalid) as caught:
        open_checkpoint(foreign, [vkey("witness.test", KEY.public.raw)])
    assert caught.value.rule == "C2-origin"
    assert open_checkpoint(foreign, [vkey("witness.test", KEY.public.raw)], origin=ORIGIN) == CHECKPOINT


LINE = NOTE.split("\n\n")[1]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        CHECKPOINT.text(),
        CHECKPOINT.text() + "\n",
        CHECKPOINT.text() + LINE,
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—"),
        NOTE.replace("\n\n", "\r\n\r\n"),
        NOTE.replace("\n\n", "\n\n\t"),
        NOTE + "— name\n",
        NOTE + "—  AAAAAAA=\n",
        NOTE + "— a+b AAAAAAA=\n",
        NOTE + "— a\u00a0b AAAAAAA=\n",
        NOTE + "— name AAAA\n",
        NOTE + "— name AAAAAA==\n",
        NOTE + "— name AAAAAAB=\n",
        NOTE + "— name AAAAAAA\n",
        NOTE + "— name AAAAAAA= \n",
        NOTE + "— name AAAA-AA=\n",
        NOTE + "— name ÄÄÄÄ\n",
        NOTE + "— \ud800 AAAAAAA=\n",
        NOTE + "— name AAAAAAA=\n" * 64,
        NOTE + "— name " + "A" * (1024 * 1024) + "\n",
    ],
)
def test_a_malformed_note_is_refused_whoever_signed_it(note: str) -> None:
    with pytest.raises(CheckpointInvalid) as caught:
        open_checkpoint(note, [VKEY])
    assert caught.value.rule == "N1-form"


def test_sixty_four_lines_are_still_a_note() -> None:
    assert open_checkpoint(NOTE + "— name AAAAAAA=\n" * 63, [VKEY]) == CHECKPOINT


ROOT = CHECKPOINT.text().split("\n")[2]


@pytest.mark.parametrize(
    "text",
    [
        "x\n",
        f"{ORIGIN}\n1\n",
        f"{ORIGIN}\n1\n{ROOT}\nextension\n",
        f"\n1\n{ROOT}\n",
        f"{ORIGIN}\n01\n{ROOT}\n",
        f"{ORIGIN}\n+1\n{ROOT}\n",
        f"{ORIGIN}\n-1\n{ROOT}\n",
        f"{ORIGIN}\n1 \n{ROOT}\n",
        f"{ORIGIN}\n٣\n{ROOT}\n",
        f"{ORIGIN}\n9223372036854775808\n{ROOT}\n",
        f"{ORIGIN}\n99999999999999999999\n{ROOT}\n",
        f"{ORIGIN}\n1\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"{ORIGIN}\n1\n {ROOT}\n",
        f"{ORIGIN}\u00ad\n1\n{ROOT}\n",
    ],
)
def test_a_text_that_is_not_a_checkpoint_is_refused_though_signed(text: str) -> None:
    with pytest.raises(CheckpointInvalid) as caught:
        open_checkpoint(join_note(text, [line_of(ORIGIN, KEY, text)]), [VKEY])
    assert caught.value.rule == "C1-form"


def test_a_checkpoint_text_ends_with_its_third_line() -> None:
    with pytest.raises(CheckpointInvalid):
        Checkpoint.from_text(CHECKPOINT.text() + "more")


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 0, bytes(32)),
        Checkpoint("a\nb", 0, bytes(32)),
        Checkpoint(ORIGIN, -1, bytes(32)),
        Checkpoint(ORIGIN, 2**63, bytes(32)),
        Checkpoint(ORIGIN, 0, bytes(31)),
        Checkpoint("a log", 0, bytes(32)),
        Checkpoint("a+log", 0, bytes(32)),
    ],
)
def test_what_cannot_be_read_is_not_signed(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointInvalid):
        sign_checkpoint(checkpoint, KEY)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_survives_its_text(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert Checkpoint.from_text(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        VKEY.replace("+", " "),
        VKEY[1:],
        VKEY + "=",
        VKEY[:-4],
        "+" + VKEY.split("+", 1)[1],
        VKEY.replace(VKEY.split("+")[1], "00000000"),
        VKEY.replace(VKEY.split("+")[1], VKEY.split("+")[1].upper() + "A"),
        SPEC_VKEY.replace("+Aeky", "+BOky"),
        "a b" + VKEY.removeprefix(ORIGIN),
        "\ud800" + VKEY.removeprefix(ORIGIN),
    ],
)
def test_a_verifier_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        parse_vkey(text)


@pytest.mark.parametrize(
    ("name", "raw"),
    [("", bytes(32)), ("a b", bytes(32)), ("a+b", bytes(32)), ("a\nb", bytes(32)), ("a", bytes(31))],
)
def test_no_verifier_key_is_written_that_could_not_be_read(name: str, raw: bytes) -> None:
    with pytest.raises(ConfigInvalid):
        vkey(name, raw)


def test_split_note_keeps_empty_lines_in_the_text() -> None:
    text, signatures = split_note("a\n\nb\n\n— name AAAAAAA=\n")
    assert text == "a\n\nb\n"
    assert [(line.name, line.key_id, line.signature) for line in signatures] == [("name", bytes(4), b"\0")]


def receipt(size: int, entry: bytes, extra: bytes | None = None) -> str:
    old = Frontier.empty().extend(leaf_hash(bytes([number])) for number in range(size))
    root = old.append(leaf_hash(entry)).root()
    note = sign_checkpoint(Checkpoint(ORIGIN, size + 1, root), KEY)
    return format_proof(size, proof_at_append(old), note, extra=extra)


@given(st.integers(0, 70), st.none() | st.binary(max_size=10))
def test_a_receipt_proves_its_entry_and_no_other(size: int, extra: bytes | None) -> None:
    text = receipt(size, b"entry", extra)
    assert verify_entry(b"entry", text, [VKEY]).size == size + 1
    assert parse_proof(text).extra == extra
    for entry in (b"entry ", b"", b"entr"):
        with pytest.raises(ProofInvalid):
            verify_entry(entry, text, [VKEY])


def test_a_receipt_under_another_key_or_log_is_refused() -> None:
    text = receipt(3, b"entry")
    with pytest.raises(CheckpointInvalid):
        verify_entry(b"entry", text, [vkey(ORIGIN, OTHER.public.raw)])
    with pytest.raises(CheckpointInvalid):
        verify_entry(b"entry", text, [VKEY], origin="homeward.test/directory")


PROOF = receipt(3, b"entry")
HASHES = PROOF.split("\n\n")[0].split("\n")[2:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        NOTE,
        PROOF.replace("@v1", "@v2"),
        PROOF.replace("\n\n", "\n", 1),
        PROOF.replace("index 3\n", ""),
        PROOF.replace("index 3", "index 03"),
        PROOF.replace("index 3", "index -3"),
        PROOF.replace("index 3", "index 9223372036854775808"),
        PROOF.replace("index 3", "Index 3"),
        PROOF.replace("index 3", "extra AAAA"),
        PROOF.replace("index 3", "extra A\nindex 3"),
        PROOF.replace("index 3", "extra AAAA\nextra AAAA\nindex 3"),
        PROOF.replace("index 3", "index 3\n" + "\n".join(HASHES[:1] * 62)),
        PROOF.replace(HASHES[0], HASHES[0][:-1]),
        PROOF.replace(HASHES[0], "AAAA"),
        PROOF.replace(HASHES[0], HASHES[0] + " "),
        "c2sp.org/tlog-proof@v1\n\n" + NOTE,
        "x" * (2 * 1024 * 1024),
    ],
)
def test_a_text_that_is_not_a_proof_is_refused(text: str) -> None:
    with pytest.raises(ProofInvalid) as caught:
        verify_entry(b"entry", text, [VKEY])
    assert caught.value.rule == "P1-form"


def test_hashes_in_another_order_or_number_are_refused() -> None:
    first, second = HASHES
    for text in (
        PROOF.replace(f"{first}\n{second}", f"{second}\n{first}"),
        PROOF.replace(f"{first}\n", ""),
        PROOF.replace(f"{first}\n", f"{first}\n{first}\n"),
        PROOF.replace("index 3", "index 2"),
        PROOF.replace("index 3", "index 4"),
    ):
        with pytest.raises(ProofInvalid):
            verify_entry(b"entry", text, [VKEY])


def test_a_verifier_key_is_the_same_pinned_as_text_or_parsed() -> None:
    assert parse_vkey(VKEY) == VerifierKey(ORIGIN, key_id(ORIGIN, 1, KEY.public.raw), 1, KEY.public.raw)
