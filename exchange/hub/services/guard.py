"""The guard journal: what takes consent back, once more and on another volume, so that no backup can undo it.

That is every withdrawal, and every consent that supersedes another: it may be narrower. A line is written and
synced before its change is committed, and all lines are applied again before the hub serves. A line whose
commit failed stays in the journal and holds: it was validly signed. Nothing here may ever bring back a family
that is withdrawn, or begin one. The file is append-only and shared by all workers (locked while written).
"""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from exchange_keys.durable import sync_folder
from exchange_schemas.codec import JsonValue, b64u, decode, encode, unb64u
from exchange_schemas.errors import Malformed, StorageFull, StoreCorrupt
from exchange_schemas.ids import AgencyId, FamilyId, check_agency, check_id

JOURNAL: Final = "withdrawals.jsonl"
_LINE_BYTES: Final = 32 * 1024
_MEMBERS: Final = frozenset({"v", "family", "iss", "at"})
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """One line: the family, its issuer, when it was withdrawn (seconds since 1970), the signed withdrawal."""

    family: FamilyId
    iss: AgencyId
    at: int
    withdrawal: bytes


@dataclass(frozen=True, slots=True)
class Superseded:
    """One line: the family, its issuer, when its newest consent was superseded, the signed newer consent."""

    family: FamilyId
    iss: AgencyId
    at: int
    consent: bytes


Line = Withdrawn | Superseded


def append(folder: Path, item: Line) -> None:
    """Write one line and sync it to the disk.

    Raises: StorageFull when it cannot be written; the change must then not be committed.
    """
    line = encode(_to_json(item), limit=_LINE_BYTES) + b"\n"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _append_line(descriptor, line)
        finally:
            os.close(descriptor)
        sync_folder(folder)
    except OSError as error:
        what = "withdrawal" if isinstance(item, Withdrawn) else "newer consent"
        raise StorageFull(f"the guard journal cannot be written, so the {what} is not accepted") from error


def read(folder: Path) -> Iterator[Line]:
    """Every line, oldest first. A torn last line was never acknowledged and is left out.

    Raises: StoreCorrupt when a complete line is not what `append` writes; the hub must then not serve.
    """
    path = folder / JOURNAL
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _from_json(decode(line[:-1], limit=_LINE_BYTES))
            except Malformed as error:
                raise StoreCorrupt(
                    f"line {number} of the guard journal {JOURNAL} is damaged",
                    hint="restore the guard volume; without it a backup could revive a withdrawn consent",
                ) from error


def batches(items: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """The items in lists of at most `size`."""
    while batch := list(islice(items, size)):
        yield batch


def _append_line(descriptor: int, line: bytes) -> None:
    """Cut off what a crash left unfinished, then write all of the line or nothing."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    whole = _end_of_last_line(descriptor, end)
    if whole != end:
        os.ftruncate(descriptor, whole)
    try:
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError("a short write")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, whole)
        raise


def _end_of_last_line(descriptor: int, end: int) -> int:
    tail = os.pread(descriptor, _LINE_BYTES + 1, max(0, end - _LINE_BYTES - 1))
    return end - len(tail) + tail.rfind(b"\n") + 1


def _to_json(item: Line) -> dict[str, JsonValue]:
    name, signed = (
        ("withdrawal", item.withdrawal) if isinstance(item, Withdrawn) else ("consent", item.consent)
    )
    return {"v": _VERSION, "family": item.family, "iss": item.iss, "at": item.at, name: b64u(signed)}


def _from_json(line: dict[str, JsonValue]) -> Line:
    at, named = line.get("at"), line.keys() - _MEMBERS
    if line.get("v") != _VERSION or not isinstance(at, int) or named not in ({"withdrawal"}, {"consent"}):
        raise Malformed("guard journal: not a line of this version")
    (name,) = named
    family = FamilyId(check_id(line.get("family"), field="family"))
    iss = check_agency(line.get("iss"), field="iss")
    signed = unb64u(line[name], field=name, limit=_LINE_BYTES)
    return Withdrawn(family, iss, at, signed) if name == "withdrawal" else Superseded(family, iss, at, signed)
