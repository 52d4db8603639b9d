"""The hub's receipts: an entry of the audit log, its tlog-proof, and each way in which one proves nothing."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.encoding import base64_text
from exchange.log.note import key_id, signature_line
from exchange.log.proof import format_proof, verify_entry
from exchange.log.tree import Frontier, inclusion_proof, leaf_hash, root_of
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId
from tests.vectors.recording.seeds import ORIGIN, Case, an_id, code_of, flipped, signing

LOG = f"{ORIGIN}/audit"
KEY = signing("audit log")
WITNESS, OTHER = signing("witness"), signing("other log")
SIZE = 5


def an_entry(number: int) -> bytes:
    return Entry(
        log=LOG,
        id=an_id(f"entry {number}"),
        ts=1_795_435_200_000_000 + number,
        act=Act.ENVELOPE_DEPOSIT,
        out="allow",
        org=AgencyId("ngo"),
        own=(AgencyId("embassy"), AgencyId("ngo")),
        fld=("sex",),
    ).to_bytes()


ENTRIES = [an_entry(number) for number in range(SIZE)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def node(level: int, index: int) -> bytes:
    return root_of(LEAVES[index << level : (index + 1) << level])


def path(index: int) -> list[bytes]:
    return inclusion_proof(index, SIZE, node)


def note(*, size: int = SIZE, root: bytes | None = None, origin: str = LOG) -> str:
    return sign_checkpoint(Checkpoint(origin, size, root_of(LEAVES) if root is None else root), KEY)


def _line(name: str, of: str, *, by: Sequence[object] = ()) -> str:
    text = note().split("\n\n")[0] + "\n"
    signer = {"witness": WITNESS, "other": OTHER}[of]
    return signature_line(name, key_id(name, 1, signer.public.raw), signer.sign(text.encode()))


def _cases() -> dict[str, tuple[bytes, str, str | None]]:
    entry, good = ENTRIES[2], note()
    text, lines = good.split("\n\n")
    root = base64_text(root_of(LEAVES))
    bad_line = signature_line(LOG, key_id(LOG, 1, KEY.public.raw), bytes(64))

    def proof(index: int = 2, hashes: Sequence[bytes] | None = None, signed: str = good) -> str:
        return format_proof(index, path(2) if hashes is None else hashes, signed)

    def resigned(changed: str) -> str:
        line = signature_line(LOG, key_id(LOG, 1, KEY.public.raw), KEY.sign(changed.encode()))
        return proof(signed=f"{changed}\n{line}")

    first, last = format_proof(0, path(0), good), format_proof(SIZE - 1, path(SIZE - 1), good)
    one = Frontier.empty().append(LEAVES[2])
    return {
        "an entry in its tree": (entry, proof(), None),
        "the first entry": (ENTRIES[0], first, None),
        "the last entry": (ENTRIES[-1], last, None),
        "a tree of one": (entry, format_proof(0, [], note(size=1, root=one.root())), None),
        "with an extra line": (entry, format_proof(2, path(2), good, extra=b"x"), None),
        "with a line of a witness": (entry, proof(signed=good + _line("witness.example", "witness")), None),
        "another entry": (ENTRIES[3], proof(), "PROOF_INVALID"),
        "a flipped entry": (flipped(entry, 20), proof(), "PROOF_INVALID"),
        "a flipped hash": (entry, proof(hashes=[flipped(path(2)[0], 5), *path(2)[1:]]), "PROOF_INVALID"),
        "hashes exchanged": (entry, proof(hashes=path(2)[::-1]), "PROOF_INVALID"),
        "a hash less": (entry, proof(hashes=path(2)[:-1]), "PROOF_INVALID"),
        "a hash more": (entry, proof(hashes=[*path(2), path(2)[0]]), "PROOF_INVALID"),
        "a short hash": (entry, proof(hashes=[path(2)[0][:-1], *path(2)[1:]]), "PROOF_INVALID"),
        "another index": (entry, proof(3), "PROOF_INVALID"),
        "an index beyond the tree": (entry, proof(SIZE), "PROOF_INVALID"),
        "an index with a zero before": (entry, proof().replace("index 2", "index 02"), "PROOF_INVALID"),
        "another header": (entry, proof().replace("proof@v1", "proof@v2"), "PROOF_INVALID"),
        "no header": (entry, proof().split("\n", 1)[1], "PROOF_INVALID"),
        "no note": (entry, proof().split("\n\n")[0], "PROOF_INVALID"),
        "another size": (entry, proof(signed=note(size=SIZE - 1)), "PROOF_INVALID"),
        "another root": (entry, proof(signed=note(root=bytes(32))), "PROOF_INVALID"),
        "a flipped root under the signature": (
            entry,
            proof(signed=good.replace(root, base64_text(bytes(32)))),
            "CHECKPOINT_INVALID",
        ),
        "a bad line of the log's key": (entry, proof(signed=good + bad_line), "CHECKPOINT_INVALID"),
        "only a witness": (
            entry,
            proof(signed=f"{text}\n\n{_line('witness.example', 'witness')}"),
            "CHECKPOINT_INVALID",
        ),
        "another key under the log's name": (
            entry,
            proof(signed=f"{text}\n\n{_line(LOG, 'other')}"),
            "CHECKPOINT_INVALID",
        ),
        "of another log": (entry, resigned(text.replace(LOG, "x.example") + "\n"), "CHECKPOINT_INVALID"),
        "with an extension line": (entry, resigned(f"{text}\nmore\n"), "CHECKPOINT_INVALID"),
        "a size with a zero before": (
            entry,
            resigned(text.replace(f"\n{SIZE}\n", f"\n0{SIZE}\n") + "\n"),
            "CHECKPOINT_INVALID",
        ),
        "a root without padding": (entry, resigned(text.rstrip("=") + "\n"), "CHECKPOINT_INVALID"),
        "a line without its dash": (
            entry,
            proof(signed=f"{text}\n\n{lines.replace('— ', '- ')}"),
            "CHECKPOINT_INVALID",
        ),
        "a note that does not end": (entry, proof(signed=good[:-1]), "CHECKPOINT_INVALID"),
        "a control character": (entry, proof(signed=good.replace(LOG, f"{LOG}\t")), "CHECKPOINT_INVALID"),
    }


def receipt_file() -> Case:
    """Entries and proofs, to be verified with the pinned key of the log."""
    pinned = vkey(LOG, KEY.public.raw)
    cases = []
    for name, (entry, proof, error) in _cases().items():
        code = code_of(lambda entry=entry, proof=proof: verify_entry(entry, proof, [pinned]))
        if code != error:
            raise AssertionError(f"{name}: {code} and not {error}")
        cases.append({"name": name, "entry": b64u(entry), "proof": proof, "error": error})
    return {"vkey": pinned, "cases": cases}
