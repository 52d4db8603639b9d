"""An auditor's copy of the log on disk: C2SP tiles and entry bundles, one checkpoint, and whose log it is.

The folder has the layout that any static log has (`checkpoint`, `tile/…`), so that other C2SP tools can
read it. This module stores and reads bytes; it believes nothing, that is `exchange.auditor.verify`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from exchange.log.tiles import Tile, tile_path
from exchange_schemas.errors import ConfigInvalid, LogIncomplete, StorageFull

_KEY_FILE = "log.vkey"
_CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder that holds, or will hold, a copy of one log."""

    folder: Path

    @property
    def vkey(self) -> str:
        """The log's verification key as pinned when the folder was made (C2SP signed-note vkey)."""
        return self._read_text(_KEY_FILE, "this folder holds no pulled log")

    @property
    def checkpoint(self) -> str:
        """The newest checkpoint that was pulled, a signed note. Raises: LogIncomplete."""
        return self._read_text(_CHECKPOINT, "the folder has no checkpoint: the pull never finished")

    def has_checkpoint(self) -> bool:
        """Whether a pull ever finished here."""
        return (self.folder / _CHECKPOINT).is_file()

    def pin(self, vkey: str) -> None:
        """Make the folder for this log, or check that it is this log's.

        Raises: ConfigInvalid when the folder belongs to another log.
        """
        known = self.folder / _KEY_FILE
        if known.is_file():
            if known.read_text("utf-8").strip() != vkey:
                raise ConfigInvalid(
                    "the folder holds a log with another key", field="DIR", hint="pull into an empty folder"
                )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(known, vkey.encode() + b"\n")

    def write_checkpoint(self, note: str) -> None:
        """Replace the checkpoint: the last step of a pull, so that a torn pull is never taken for whole."""
        self._write(self.folder / _CHECKPOINT, note.encode())

    def write_tile(self, tile: Tile, data: bytes) -> None:
        """Store one tile or bundle; it supersedes narrower partial versions of itself."""
        self._write(self._path(tile), data)
        for width, path in self._partials(tile):
            if width < tile.width:
                path.unlink(missing_ok=True)

    def has_tile(self, tile: Tile) -> bool:
        """Whether this tile is here, as wide or wider."""
        return self._find(tile) is not None

    def read_tile(self, tile: Tile) -> bytes:
        """Bytes of this tile or of a wider version of it. Raises: LogIncomplete when it is not here."""
        path = self._find(tile)
        if path is None:
            name = tile_path(tile.level, tile.n, tile.width)
            raise LogIncomplete(f"the pulled log lacks {name}", field=name)
        return path.read_bytes()

    def _find(self, tile: Tile) -> Path | None:
        full = self._path(Tile(tile.level, tile.n))
        if full.is_file():
            return full
        wide = [(width, path) for width, path in self._partials(tile) if width >= tile.width]
        return min(wide)[1] if wide else None

    def _partials(self, tile: Tile) -> list[tuple[int, Path]]:
        """(width, file) of every partial version of a tile."""
        full = self._path(Tile(tile.level, tile.n))
        folder = full.with_name(full.name + ".p")
        if not folder.is_dir():
            return []
        return [(int(file.name), file) for file in folder.iterdir() if file.name.isdecimal()]

    def _path(self, tile: Tile) -> Path:
        return self.folder / tile_path(tile.level, tile.n, tile.width)

    def _read_text(self, name: str, missing: str) -> str:
        try:
            return (self.folder / name).read_text("utf-8").rstrip("\n") + (
                "\n" if name == _CHECKPOINT else ""
            )
        except FileNotFoundError as error:
            raise LogIncomplete(missing, field="DIR", hint="run: exchange-audit pull DIR") from error
        except UnicodeDecodeError as error:
            raise LogIncomplete(f"{name} is not UTF-8", field="DIR") from error

    def _write(self, path: Path, data: bytes) -> None:
        """Write into place: whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StorageFull(f"the mirror cannot be written: {error.strerror}", field="DIR") from error
