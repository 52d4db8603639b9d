"""What a log and a witness say to each other (C2SP tlog-witness), as pure rules; no network and no clock.

A witness knows, for each log, the largest checkpoint it cosigned: nothing, or a size and a root. The only
move is to a checkpoint of the same size and root, or to a larger one that a consistency proof ties to it. It
must never go back and never sideways, whoever signed: that is all a witness is for.

The steps of `check_submission` and the answer that each refusal becomes:
  (1) the request is a request, and its note a checkpoint  Malformed, CheckpointInvalid (N1, C1)  400
  (2) the log is known                                     NotFound                               404
  (3) a key of that log signed it, no line of one is bad   CheckpointInvalid (N2, N3)             403
  (4) the old size is not over the checkpoint's            Malformed                              400
  (5) the old size is that of the witness                  Conflict, with the witness's size      409
  (6) the proof ties the two; an empty tree has its root   ProofInvalid                           422
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.cosignature import newest_cosignatures
from exchange.log.encoding import base64_bytes, base64_text
from exchange.log.note import VerifierKey, join_note, signature_line, split_note
from exchange.log.tree import EMPTY_ROOT, HASH_BYTES, MAX_SIZE, verify_consistency
from exchange_schemas.errors import (
    CheckpointInvalid,
    Conflict,
    ExchangeError,
    LogFork,
    Malformed,
    NotFound,
    ProofInvalid,
)

SIZE_TYPE: Final = "text/x.tlog.size"
ADD_CHECKPOINT: Final = "add-checkpoint"
MAX_PROOF_LINES: Final = 63
MAX_REQUEST_BYTES: Final = 64 * 1024
_ATTEMPTS: Final = 3
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE: Final = re.compile(r"(0|[1-9][0-9]{0,18})\n")
AskWitness = Callable[[str, str], str | None]
"""(address, origin) → the newest checkpoint that the witness cosigned, if it ever did one."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The body of add-checkpoint: the size that the log believes the witness has, a proof from it, a note."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def to_bytes(self) -> bytes:
        """The request body."""
        lines = [f"old {self.old}", *(base64_text(item) for item in self.proof), ""]
        return ("\n".join(lines) + "\n" + self.note).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Submission":
        """Read a request body strictly; nothing in it is verified. Raises: Malformed."""
        if len(data) > MAX_REQUEST_BYTES:
            raise Malformed(f"request: longer than {MAX_REQUEST_BYTES} bytes")
        try:
            head, blank, note = data.decode("utf-8").partition("\n\n")
        except UnicodeDecodeError:
            raise Malformed("request: not UTF-8") from None
        first, *lines = head.split("\n")
        match = _OLD.fullmatch(first)
        if blank == "" or match is None or int(match[1]) > MAX_SIZE:
            raise Malformed("request: the old size or the empty line is missing", field="old")
        if len(lines) > MAX_PROOF_LINES:
            raise Malformed(f"request: more than {MAX_PROOF_LINES} hashes", field="proof")
        return cls(int(match[1]), tuple(_hash(line) for line in lines), note)


def origin_hash(origin: str) -> str:
    """The name of a log under a witness's monitoring prefix: SHA-256 of its origin, lower-case hex."""
    return sha256(origin.encode()).hexdigest()


# -- the witness ---------------------------------------------------------------------------------------


def check_submission(
    submission: Submission,
    logs: Mapping[str, Sequence[VerifierKey]],
    latest: Callable[[str], Checkpoint | None],
) -> Checkpoint:
    """The checkpoint that may be cosigned, as numbered above.

    `logs` are the pinned keys by origin; `latest` gives what was cosigned last for an origin. The caller
    keeps everybody else out from before this call until the new state is durable.
    """
    claimed = Checkpoint.from_text(split_note(submission.note)[0])  # (1)
    keys = logs.get(claimed.origin)
    if keys is None:
        raise NotFound("this witness does not know the log", field="origin")  # (2)
    checkpoint = open_checkpoint(submission.note, keys, origin=claimed.origin)  # (3)
    if submission.old > checkpoint.size:
        raise Malformed("the old size is over the checkpoint's", field="old")  # (4)
    known = latest(checkpoint.origin)
    size = 0 if known is None else known.size
    if submission.old != size:
        raise Conflict("the old size is not that of this witness", field="old", detail={"size": size})  # (5)
    _check_growth(known, checkpoint, submission.proof)  # (6)
    return checkpoint


def _check_growth(known: Checkpoint | None, new: Checkpoint, proof: Sequence[bytes]) -> None:
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise ProofInvalid("an empty tree has another root", rule="T4-root")
    if known is not None and known.size > 0:
        verify_consistency(known.size, new.size, proof, known.root, new.root)
    elif proof:
        raise ProofInvalid("nothing is to be proved from an empty tree", rule="T2-length")


def refusal_status(error: ExchangeError) -> int:
    """The HTTP status that a refusal of `check_submission` becomes."""
    if isinstance(error, CheckpointInvalid):
        return 403 if error.rule in ("N2-signature", "N3-unsigned") else 400
    for kind, status in ((NotFound, 404), (Conflict, 409), (ProofInvalid, 422)):
        if isinstance(error, kind):
            return status
    return 400


# -- the log -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness cosigned: the note with its lines under those it had."""

    note: str


@dataclass(frozen=True, slots=True)
class WitnessSize:
    """The witness holds another size than the one named; submit again from there."""

    size: int


def read_answer(status: int, content_type: str, body: bytes, note: str) -> Cosigned | WitnessSize:
    """What a witness's answer to `note` means. Its lines are not verified here: a policy does that.

    Raises: NotFound (it does not know the log), CheckpointInvalid (it trusts no key that signed),
    ProofInvalid (the proof does not hold for it), Malformed (anything else).
    """
    text = _text(body)
    if status == 200:
        merged = merge_notes(note, join_note(split_note(note)[0], [text]))
        return Cosigned(merged)
    match = _SIZE.fullmatch(text)
    if status == 409 and content_type == SIZE_TYPE and match is not None and int(match[1]) <= MAX_SIZE:
        return WitnessSize(int(match[1]))
    if status == 404:
        raise NotFound("the witness does not know this log", hint="give its operator the log's key")
    if status == 403:
        raise CheckpointInvalid("the witness trusts no key that signed the checkpoint", rule="N3-unsigned")
    if status == 422:
        raise ProofInvalid("the witness holds another history of this log", rule="T4-root")
    raise Malformed(f"the witness answered {status}", field="witness")


def obtain_cosignature(
    submit: Callable[[Submission], Cosigned | WitnessSize],
    note: str,
    proof_from: Callable[[int], Sequence[bytes]],
    *,
    old: int = 0,
) -> str:
    """Have one witness cosign `note`, the log's own checkpoint; gives the note with the witness's lines.

    `old` is the size that the witness had last, as far as the log remembers; `proof_from(size)` is the
    consistency proof from there to the note's size. A witness with another size says so and is asked again.
    Raises: LogFork (rolled-back) when the witness has cosigned a larger tree than the note's, so that the
    log went back, or somebody else published in between: the caller must look at the log's present size;
    Conflict when the witness's size keeps changing; what `submit` raises.
    """
    size = Checkpoint.from_text(split_note(note)[0]).size
    for _ in range(_ATTEMPTS):
        answer = submit(Submission(old, tuple(proof_from(old)) if old else (), note))
        if isinstance(answer, Cosigned):
            return answer.note
        if answer.size > size:
            raise LogFork(
                "the witness has cosigned a larger tree than this log has",
                rule="rolled-back",
                detail={"size": answer.size},
            )
        old = answer.size
    raise Conflict("the witness's size keeps changing", field="old", detail={"size": old})


def merge_notes(note: str, other: str) -> str:
    """The note with the signature lines of the same note from elsewhere; of a cosigner the newest line.

    Nothing is verified: a line that is newer and bad stands out when a policy judges the note.
    Raises: CheckpointInvalid (N1-form) when one is no note; Malformed when their texts differ.
    """
    (text, lines), (same, more) = split_note(note), split_note(other)
    if text != same:
        raise Malformed("the two notes are not about the same checkpoint")
    newest: dict[tuple[str, bytes], bytes] = {}
    for line in (*lines, *more):
        # A cosignature begins with its time, so that the newer of two is the greater.
        known = newest.get((line.name, line.key_id), b"")
        newest[line.name, line.key_id] = max(known, line.signature)
    merged = join_note(text, [signature_line(name, key, data) for (name, key), data in newest.items()])
    split_note(merged)
    return merged


def cosignature_in(note: str, witness: VerifierKey, now: datetime) -> tuple[str, datetime]:
    """The verified line of this one witness in what it answered, and its time; nothing else of the answer.

    A witness may put any other line into its answer; none of them may get into the note that a log shows.
    Raises: CheckpointInvalid when it has no line there, a bad one, or one from the future.
    """
    found = newest_cosignatures(note, [witness], now)
    if not found:
        raise CheckpointInvalid("the witness's answer holds no cosignature of its own", rule="W2-signature")
    stamp = int(found[0].when.timestamp()).to_bytes(8, "big")
    lines = (line for line in split_note(note)[1] if line.signature.startswith(stamp))
    mine = next(line for line in lines if (line.name, line.key_id) == (witness.name, witness.key_id))
    return signature_line(mine.name, mine.key_id, mine.signature), found[0].when


def _text(body: bytes) -> str:
    if len(body) > MAX_REQUEST_BYTES:
        raise Malformed("the witness's answer is too long", field="witness")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("the witness's answer is not text", field="witness") from None


def _hash(line: str) -> bytes:
    data = base64_bytes(line)
    if data is None or len(data) != HASH_BYTES:
        raise Malformed("request: a proof line is not base64 of 32 bytes", field="proof")
    return data
