"""An auditor's copy of the log on disk: C2SP tiles and entry bundles, one checkpoint, and whose log it is.

The folder has the layout that any static log has (`checkpoint`, `tile/…`), so that other C2SP tools can
read it. Beside that: `log.vkey`, the keys pinned since the first pull; `checkpoints/`, every checkpoint that
was ever pulled, by size, with its cosignatures; `evidence/`, signed notes that contradict the copy;
`salts.json`, what the heads entries are recomputed with. This module stores and reads bytes; it believes
nothing: what comes in is checked by `exchange.auditor.intake`, what lies here by `exchange.auditor.verify`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from exchange.log.slices import SALTS_FILE, read_salts
from exchange.log.tiles import TILE_WIDTH, Tile, split_bundle, split_tile, tile_path
from exchange.log.tree import HASH_BYTES
from exchange.log.witnessing import merge_notes
from exchange.member.locks import hold
from exchange_schemas.codec import b64u, encode
from exchange_schemas.errors import ConfigInvalid, EntryInvalid, LogIncomplete, Malformed, StorageFull

_KEY_FILE: Final = "log.vkey"
_CHECKPOINT: Final = "checkpoint"
_CHECKPOINTS: Final = "checkpoints"
_EVIDENCE: Final = "evidence"
_LOCK: Final = ".lock"
PART_FILE: Final = "partial.sqlite"
"""What an auditor of some agencies pulls (`exchange.auditor.partial`)."""


@dataclass(frozen=True, slots=True)
class StoredTile:
    """A file of the copy as it lies there: the width in its name, and its bytes."""

    width: int
    data: bytes

    def entries(self, width: int) -> list[bytes]:
        """The first `width` entries of a bundle that holds exactly as many as its name says.

        Raises: EntryInvalid, LogIncomplete.
        """
        found = split_bundle(self.data)
        if len(found) > self.width:
            raise EntryInvalid("bundle: more entries than its name says")
        if len(found) < self.width:
            raise LogIncomplete("bundle: fewer entries than its name says")
        return found[:width]

    def hashes(self, width: int) -> tuple[bytes, ...]:
        """The first `width` hashes of a tile, as `row`."""
        return split_tile(self.row(width), width)

    def row(self, width: int) -> bytes:
        """The bytes of the first `width` hashes of a tile that holds exactly as many as its name says.

        Raises: Malformed, LogIncomplete.
        """
        if len(self.data) > HASH_BYTES * self.width:
            raise Malformed("tile: more hashes than its name says", field="tile")
        if len(self.data) < HASH_BYTES * self.width:
            raise LogIncomplete("tile: fewer hashes than its name says", field="tile")
        return self.data[: HASH_BYTES * width]


@dataclass(frozen=True, slots=True)
class KeptNote:
    """A signed note of the log beside its newest checkpoint; `source` is where it lies.

    `evidence`: "forked" or "rolled-back" when a pull kept it for contradicting the copy in that way.
    """

    source: str
    note: str
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder that holds, or will hold, a copy of one log."""

    folder: Path

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The log's verification keys as pinned (C2SP signed-note vkey), the one of the first pull first."""
        return tuple(self._read_text(_KEY_FILE, "this folder holds no pulled log").split())

    @property
    def vkey(self) -> str:
        """The newest pinned key."""
        return self.vkeys[-1]

    @property
    def checkpoint(self) -> str:
        """The newest checkpoint that was pulled, a signed note. Raises: LogIncomplete."""
        if not self.has_checkpoint() and (self.folder / PART_FILE).is_file():
            raise LogIncomplete(
                "the folder holds the entries about some agencies only, and this needs the whole log",
                field="DIR",
                hint="`exchange-audit verify` checks what is there",
            )
        return self._read_text(_CHECKPOINT, "the folder has no checkpoint: the pull never finished")

    def has_checkpoint(self) -> bool:
        """Whether a pull ever finished here."""
        return (self.folder / _CHECKPOINT).is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other pulls out of the folder for the block. Raises: StoreLocked."""
        with _writing():
            self.folder.mkdir(parents=True, exist_ok=True)
        with hold(self.folder / _LOCK, what="this pulled log"):
            yield

    def pin(self, vkey: str) -> None:
        """Make the folder for this log, or check that it is this log's.

        Raises: ConfigInvalid when the folder belongs to another log, or to this one under another key.
        """
        if not self.is_pinned():
            self._write(self.folder / _KEY_FILE, vkey.encode() + b"\n")
        elif not self.pins(vkey):
            raise ConfigInvalid(
                "the folder holds a log with another key", field="DIR", hint="pull into an empty folder"
            )

    def is_pinned(self) -> bool:
        """Whether the folder is of a log already."""
        return (self.folder / _KEY_FILE).is_file()

    def pins(self, vkey: str) -> bool:
        """Whether the folder has this key among those of its log; True while it has none."""
        return not self.is_pinned() or vkey in self.vkeys

    def add_key(self, vkey: str) -> None:
        """Pin the log's next key too, which the caller has seen it sign with beside the newest one here."""
        lines = "".join(f"{key}\n" for key in (*self.vkeys, vkey))
        self._write(self.folder / _KEY_FILE, lines.encode(), durable=True)

    def write_checkpoint(self, note: str) -> None:
        """Replace the checkpoint: the last step of a pull, so that a torn pull is never taken for whole.

        Everything written before is made durable first, all at once: a pull writes thousands of small files.
        """
        os.sync()
        self._write(self.folder / _CHECKPOINT, note.encode(), durable=True)

    def keep_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed checkpoint of `size` entries for good, with every cosignature that it ever had."""
        path = self.folder / _CHECKPOINTS / str(size)
        if path.is_file():
            note = merge_notes(self._read_text(f"{_CHECKPOINTS}/{size}", "it went away"), note)
        self._write(path, note.encode(), durable=True)

    def kept(self) -> Iterator[KeptNote]:
        """Every checkpoint and every piece of evidence that was kept, in no order. Raises: LogIncomplete."""
        for folder in (_CHECKPOINTS, _EVIDENCE):
            if (self.folder / folder).is_dir():
                for path in sorted((self.folder / folder).iterdir()):
                    if path.suffix != ".tmp":
                        name = f"{folder}/{path.name}"
                        rule = path.name.rpartition("-")[0] if folder == _EVIDENCE else None
                        yield KeptNote(name, self._read_text(name, "it went away"), rule)

    def keep_evidence(self, note: str, rule: str) -> Path:
        """Keep a signed note that contradicts this copy, named by how, once. Gives its file."""
        data = note.encode()
        path = self.folder / _EVIDENCE / f"{rule}-{sha256(data).hexdigest()[:16]}.note"
        if not path.is_file():
            self._write(path, data, durable=True)
        return path

    def salts(self) -> dict[str, bytes] | None:
        """The secret of each party's slice, 32 bytes; None when none was pulled. Raises: LogIncomplete."""
        path = self.folder / SALTS_FILE
        if not path.is_file():
            return None
        try:
            return read_salts(path.read_bytes())
        except Malformed as error:
            raise LogIncomplete(f"{SALTS_FILE} cannot be read", field=SALTS_FILE) from error

    def write_salts(self, salts: Mapping[str, bytes]) -> None:
        """Keep the secrets of the slices; none that is there may be another one afterwards."""
        data = encode({party: b64u(salt) for party, salt in sorted(salts.items())})
        self._write(self.folder / SALTS_FILE, data, durable=True)

    def write_tile(self, tile: Tile, data: bytes) -> None:
        """Store one tile or bundle; it takes the place of every other width of itself."""
        path = self._path(tile)
        self._write(path, data)
        for _, other in self._versions(tile):
            if other != path:
                other.unlink(missing_ok=True)

    def has_tile(self, tile: Tile) -> bool:
        """Whether this tile is here, as wide or wider."""
        return self._find(tile) is not None

    def stored(self, tile: Tile) -> StoredTile:
        """This tile or the narrowest wider version of it. Raises: LogIncomplete when it is not here."""
        if tile.width == TILE_WIDTH:
            # Most tiles are full: nothing is looked up before the reading, which verifying does for each.
            with suppress(FileNotFoundError), open(self._file(tile), "rb", buffering=0) as file:
                return StoredTile(TILE_WIDTH, file.readall())
        found = self._find(tile)
        if found is None:
            name = tile_path(tile.level, tile.n, tile.width)
            raise LogIncomplete(f"the pulled log lacks {name}", field=name)
        width, path = found
        return StoredTile(width, path.read_bytes())

    def _find(self, tile: Tile) -> tuple[int, Path] | None:
        # Most tiles are full: one look instead of a listing.
        full = self._path(Tile(tile.level, tile.n))
        if tile.width == TILE_WIDTH:
            return (tile.width, full) if full.is_file() else None
        wide = [version for version in self._versions(tile) if version[0] >= tile.width]
        return min(wide) if wide else None

    def _versions(self, tile: Tile) -> list[tuple[int, Path]]:
        """(width, file) of every version of a tile, partial or full."""
        full = self._path(Tile(tile.level, tile.n))
        folder = full.with_name(full.name + ".p")
        found = [(TILE_WIDTH, full)] if full.is_file() else []
        if folder.is_dir():
            names = [file for file in folder.iterdir() if file.name.isascii() and file.name.isdecimal()]
            found += [(int(file.name), file) for file in names if 1 <= int(file.name) < TILE_WIDTH]
        return found

    def _path(self, tile: Tile) -> Path:
        return Path(self._file(tile))

    def _file(self, tile: Tile) -> str:
        return f"{self.folder}/{tile_path(tile.level, tile.n, tile.width)}"

    def _read_text(self, name: str, missing: str) -> str:
        try:
            return (self.folder / name).read_bytes().decode("utf-8")
        except FileNotFoundError as error:
            raise LogIncomplete(missing, field="DIR", hint="run: exchange-audit pull DIR") from error
        except UnicodeDecodeError as error:
            raise LogIncomplete(f"{name} is not UTF-8", field="DIR") from error

    def _write(self, path: Path, data: bytes, *, durable: bool = False) -> None:
        """Write into place: whole or not at all."""
        temporary = path.with_name(path.name + ".tmp")
        with _writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    file.write(data)
                    file.flush()
                    if durable:
                        os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull(f"the mirror cannot be written: {error.strerror}", field="DIR") from error
