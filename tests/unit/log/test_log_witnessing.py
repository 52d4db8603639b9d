"""The witness protocol: what is cosigned, each refusal with its status, and that nothing ever goes back."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.log.checkpoint import Checkpoint, parse_vkey, sign_checkpoint, vkey
from exchange.log.note import key_id, signature_line
from exchange.log.tree import EMPTY_ROOT, Frontier, consistency_proof, leaf_hash, node_hash
from exchange.log.witnessing import (
    SIZE_TYPE,
    Cosigned,
    Submission,
    WitnessSize,
    check_submission,
    merge_notes,
    obtain_cosignature,
    origin_hash,
    read_answer,
    refusal_status,
)
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import (
    CheckpointInvalid,
    Conflict,
    ExchangeError,
    LogFork,
    Malformed,
    NotFound,
    ProofInvalid,
)

ORIGIN = "homeward.test/audit"
KEY = SigningKey.from_seed(bytes(32))
OTHER = SigningKey.from_seed(bytes([1]) * 32)
LOGS = {ORIGIN: (parse_vkey(vkey(ORIGIN, KEY.public.raw)),)}

# The example of the specification, as it stands there.
SPEC_REQUEST = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""  # noqa: E501  # a published example


class Log:
    """Leaves, and what is asked of them at any size."""

    def __init__(self, salt: bytes = b"") -> None:
        self.leaves = [leaf_hash(salt + bytes([number])) for number in range(40)]

    def node(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.leaves[index]
        return node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(ORIGIN, size, Frontier.empty().extend(self.leaves[:size]).root())

    def submission(self, old: int, size: int, key: SigningKey = KEY) -> Submission:
        proof = tuple(consistency_proof(old, size, self.node)) if old <= size else ()
        return Submission(old, proof, sign_checkpoint(self.checkpoint(size), key))


LOG = Log()


def check(submission: Submission, latest: Checkpoint | None = None) -> Checkpoint:
    return check_submission(Submission.from_bytes(submission.to_bytes()), LOGS, lambda _origin: latest)


def status(submission: Submission | bytes, latest: Checkpoint | None = None) -> int:
    data = submission if isinstance(submission, bytes) else submission.to_bytes()
    with pytest.raises(ExchangeError) as caught:
        check_submission(Submission.from_bytes(data), LOGS, lambda _origin: latest)
    return refusal_status(caught.value)


def test_the_example_of_the_specification_reads_and_writes_the_same() -> None:
    found = Submission.from_bytes(SPEC_REQUEST.encode())
    assert (found.old, len(found.proof)) == (20852014, 4)
    assert found.note.startswith("example.com/behind-the-sofa\n20852163\n")
    assert found.to_bytes() == SPEC_REQUEST.encode()
    assert status(SPEC_REQUEST.encode()) == 404


@pytest.mark.parametrize(("old", "size"), [(0, 0), (0, 1), (0, 7), (1, 2), (7, 7), (7, 40), (8, 16)])
def test_a_tree_that_only_grew_may_be_cosigned(old: int, size: int) -> None:
    latest = None if old == 0 else LOG.checkpoint(old)
    assert check(LOG.submission(old, size), latest) == LOG.checkpoint(size)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("old ", "old  "),
        lambda text: text.replace("old 7", "old 07"),
        lambda text: text.replace("old 7", "old -7"),
        lambda text: text.replace("old 7", "old 99999999999999999999"),
        lambda text: text.replace("old 7\n", ""),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("=\n", "\n", 1),
        lambda text: text.replace("old 7\n", "old 7\n" + "A" * 43 + "=\n" * 1 + ("A" * 43 + "=\n") * 63),
        lambda text: text.replace("old 7\n", "old 7\nAAAA\n"),
        lambda text: text + "\x00",
        lambda text: text + "x" * 70_000,
        lambda text: text.replace(f"\n\n{ORIGIN}\n", f"\n\n{ORIGIN}\next\n"),
    ],
)
def test_what_is_no_request_gets_400(change: object) -> None:
    assert callable(change)
    text = LOG.submission(7, 12).to_bytes().decode()
    assert change(text) != text
    assert status(change(text).encode(), LOG.checkpoint(7)) == 400


def test_bytes_that_are_no_text_get_400() -> None:
    assert status(b"old 0\n\n\xff\xff", None) == 400


def test_an_old_size_over_the_checkpoint_gets_400() -> None:
    assert status(LOG.submission(9, 8), LOG.checkpoint(9)) == 400


def test_an_unknown_log_gets_404() -> None:
    note = sign_checkpoint(Checkpoint("other.test/audit", 0, EMPTY_ROOT), KEY)
    assert status(Submission(0, (), note)) == 404


def test_a_checkpoint_that_no_pinned_key_signed_gets_403() -> None:
    assert status(LOG.submission(0, 3, OTHER)) == 403


def test_a_bad_line_of_a_pinned_key_gets_403() -> None:
    note = LOG.submission(0, 3).note
    bad = signature_line(ORIGIN, key_id(ORIGIN, 1, KEY.public.raw), KEY.sign(b"x"))
    assert status(Submission(0, (), note + bad)) == 403


@pytest.mark.parametrize(("old", "known"), [(0, 7), (6, 7), (8, 7), (1, 0)])
def test_another_old_size_gets_409_with_the_size(old: int, known: int) -> None:
    latest = LOG.checkpoint(known)
    with pytest.raises(ExchangeError) as caught:
        check(LOG.submission(old, 12), latest)
    assert refusal_status(caught.value) == 409
    assert caught.value.detail == {"size": known}


def test_a_fork_gets_422_at_the_same_size_and_at_a_larger_one() -> None:
    fork = Log(b"fork")
    assert status(fork.submission(7, 7), LOG.checkpoint(7)) == 422
    assert status(fork.submission(7, 12), LOG.checkpoint(7)) == 422


def test_a_wrong_proof_gets_422() -> None:
    good = LOG.submission(7, 12)
    for proof in ((), good.proof[:-1], good.proof[::-1], (*good.proof, bytes(32))):
        assert status(Submission(7, proof, good.note), LOG.checkpoint(7)) == 422
    assert status(Submission(0, (bytes(32),), good.note)) == 422
    assert status(Submission(7, (bytes(32),), LOG.submission(7, 7).note), LOG.checkpoint(7)) == 422


def test_an_empty_tree_with_another_root_gets_422() -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), KEY)
    assert status(Submission(0, (), note)) == 422


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=12))
def test_whatever_is_submitted_a_witness_never_goes_back_or_sideways(
    steps: Sequence[tuple[int, int, bool]],
) -> None:
    fork = Log(b"fork")
    latest: Checkpoint | None = None
    for old, size, honest in steps:
        log = LOG if honest else fork
        try:
            new = check(log.submission(old, size), latest)
        except ExchangeError:
            continue
        if latest is not None and latest.size > 0:
            assert new.size >= latest.size
            first = LOG if latest == LOG.checkpoint(latest.size) else fork
            assert new == first.checkpoint(new.size)
        latest = new


@given(st.binary(max_size=300))
def test_no_bytes_at_all_break_the_reader(data: bytes) -> None:
    try:
        Submission.from_bytes(data)
    except Malformed:
        return
    assert data.startswith(b"old ")


def test_the_name_of_a_log_is_the_digest_of_its_origin() -> None:
    assert origin_hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


NOTE = LOG.submission(0, 3).note
LINE = signature_line("witness.example/w1", b"1234", bytes(72))


def test_the_lines_of_an_answer_come_under_the_note_once() -> None:
    answer = read_answer(200, "text/plain", LINE.encode(), NOTE)
    assert answer == Cosigned(NOTE + LINE)
    assert read_answer(200, "text/plain", LINE.encode(), NOTE + LINE) == Cosigned(NOTE + LINE)


def test_a_newer_line_of_the_same_witness_takes_the_place_of_the_older() -> None:
    newer = signature_line("witness.example/w1", b"1234", bytes([1]) * 72)
    assert merge_notes(NOTE + LINE, NOTE + newer) == NOTE + newer
    with pytest.raises(Malformed):
        merge_notes(NOTE, LOG.submission(0, 4).note)


@pytest.mark.parametrize(
    ("content_type", "body", "size"),
    [
        (SIZE_TYPE, b"0\n", 0),
        (SIZE_TYPE, b"50\n", 50),
        ("text/plain", b"50\n", None),
        (SIZE_TYPE, b"", None),
        (SIZE_TYPE, b"50", None),
        (SIZE_TYPE, b"050\n", None),
        (SIZE_TYPE, b"99999999999999999999\n", None),
        (SIZE_TYPE + "; charset=utf8", b"51\n", None),
    ],
)
def test_a_conflict_names_the_witness_s_size_or_is_no_answer(
    content_type: str, body: bytes, size: int | None
) -> None:
    if size is None:
        with pytest.raises(Malformed):
            read_answer(409, content_type, body, NOTE)
    else:
        assert read_answer(409, content_type, body, NOTE) == WitnessSize(size)


@pytest.mark.parametrize(
    ("code", "error"),
    [(404, NotFound), (403, CheckpointInvalid), (422, ProofInvalid), (400, Malformed), (500, Malformed)],
)
def test_each_refusal_of_a_witness_is_an_error(code: int, error: type[ExchangeError]) -> None:
    with pytest.raises(error):
        read_answer(code, "text/plain", b"no", NOTE)


@pytest.mark.parametrize("body", [b"", b"nonsense\n", b"\xff", b"x" * 70_000])
def test_an_answer_that_is_no_signature_is_refused(body: bytes) -> None:
    with pytest.raises(ExchangeError):
        read_answer(200, "text/plain", body, NOTE)


class Answers:
    """A witness that gives these answers, and what it was sent."""

    def __init__(self, *answers: Cosigned | WitnessSize) -> None:
        self.answers = [*answers]
        self.sent: list[Submission] = []

    def submit(self, submission: Submission) -> Cosigned | WitnessSize:
        self.sent.append(submission)
        return self.answers.pop(0)


def obtain(answers: Answers, *, old: int = 0) -> str:
    note = LOG.submission(0, 12).note
    return obtain_cosignature(
        answers.submit, note, lambda size: consistency_proof(size, 12, LOG.node), old=old
    )


def test_a_log_submits_again_from_the_size_that_the_witness_names() -> None:
    answers = Answers(WitnessSize(7), Cosigned("cosigned"))
    assert obtain(answers) == "cosigned"
    assert [one.old for one in answers.sent] == [0, 7]
    assert answers.sent[0].proof == ()
    assert check(answers.sent[1], LOG.checkpoint(7)) == LOG.checkpoint(12)


def test_a_witness_ahead_of_the_log_is_a_roll_back_and_one_that_wavers_is_given_up() -> None:
    with pytest.raises(LogFork) as caught:
        obtain(Answers(WitnessSize(13)))
    assert (caught.value.rule, caught.value.detail) == ("rolled-back", {"size": 13})
    with pytest.raises(Conflict):
        obtain(Answers(WitnessSize(3), WitnessSize(5), WitnessSize(4)), old=2)
