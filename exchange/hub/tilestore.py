"""Where the log's files lie, by the paths of C2SP tlog-tiles: a local folder, or a bucket (S3).

A file is written once and never changed; what is there is whole. The one exception is the mark, which says
how far the files go and may always be too low. Nothing here knows what is in a file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from exchange_keys.durable import disk_errors, durable_file, sync_folder
from exchange_schemas.errors import ConfigInvalid, Conflict, MissingExtra, Unavailable

if TYPE_CHECKING:
    from exchange.hub.settings import Settings

MARK: Final = "written"
_MARK_BYTES: Final = 32
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
"""Its group may read: a static file server that runs as another user."""
_MOST_BYTES: Final = 5 * 1024 * 1024


class TileStore(Protocol):
    """Files by name. Several programs may write at once: what they write under one name is the same."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is whole and durable before this returns; False when the name is taken.

        Raises: StorageFull, OSError; Unavailable when a bucket does not take it.
        """

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None when there is none. Raises: as `create`."""

    def set_mark(self, text: str) -> None:
        """Replace the mark. Raises: as `create`."""

    def mark(self) -> str | None:
        """The mark; None when there is none. Raises: as `create`."""


@dataclass(frozen=True, slots=True)
class FolderTiles:
    """Files in a folder of this machine."""

    root: Path

    def create(self, name: str, data: bytes) -> bool:
        """As `TileStore.create`."""
        try:
            self._write(self.root / name, data, replace=False)
        except Conflict:
            return False
        return True

    def read(self, name: str) -> bytes | None:
        """As `TileStore.read`."""
        try:
            with (self.root / name).open("rb") as file:
                return file.read(_MOST_BYTES)
        except FileNotFoundError:
            return None

    def set_mark(self, text: str) -> None:
        """As `TileStore.set_mark`."""
        self._write(self.root / MARK, text.encode(), replace=True)

    def mark(self) -> str | None:
        """As `TileStore.mark`."""
        found = self.read(MARK)
        return None if found is None else found[:_MARK_BYTES].decode("ascii", "replace")

    def _write(self, path: Path, data: bytes, *, replace: bool) -> None:
        with disk_errors():
            self._make(path.parent)
        with durable_file(path, replace=replace) as file:
            file.write(data)
            os.fchmod(file.fileno(), _FILE_MODE)

    def _make(self, folder: Path) -> None:
        """Each new folder durably in the one above it, which may be the operator's own."""
        if folder.is_dir():
            return
        if folder != self.root:
            self._make(folder.parent)
        folder.mkdir(parents=folder == self.root, exist_ok=True, mode=_FOLDER_MODE)
        sync_folder(folder.parent)


@dataclass(frozen=True, slots=True)
class BucketTiles:
    """Files in a bucket, under a prefix; `store` is an obstore S3 store, whose PUT is whole or not at all."""

    store: Any

    def create(self, name: str, data: bytes) -> bool:
        """As `TileStore.create`: If-None-Match, so that two writers cannot both be first."""
        from obstore import put
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            put(self.store, name, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, FileExistsError):
            return False
        except (BaseError, FileNotFoundError) as error:
            raise _unreachable() from error
        return True

    def read(self, name: str) -> bytes | None:
        """As `TileStore.read`."""
        from obstore import get
        from obstore.exceptions import BaseError, NotFoundError

        try:
            return bytes(get(self.store, name).bytes())
        except (FileNotFoundError, NotFoundError):
            return None
        except BaseError as error:
            raise _unreachable() from error

    def set_mark(self, text: str) -> None:
        """As `TileStore.set_mark`."""
        from obstore import put
        from obstore.exceptions import BaseError

        try:
            put(self.store, MARK, text.encode(), use_multipart=False)
        except (BaseError, FileNotFoundError) as error:
            raise _unreachable() from error

    def mark(self) -> str | None:
        """As `TileStore.mark`."""
        found = self.read(MARK)
        return None if found is None else found[:_MARK_BYTES].decode("ascii", "replace")


def open_tiles(settings: Settings) -> TileStore | None:
    """The store of the settings; None when they name none.

    Raises: MissingExtra when a bucket is named and the extra is not installed; ConfigInvalid.
    """
    if settings.tiles is None:
        return None
    if not settings.tiles.startswith("s3://"):
        return FolderTiles(Path(settings.tiles))
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise MissingExtra(
            "HOMEWARD_TILES names a bucket, and the program for it is not installed",
            hint='pip install "homeward-exchange[hub,bucket]"',
        ) from None
    parts = urlsplit(settings.tiles)
    endpoint = settings.tiles_endpoint
    # Address and rights beyond the bucket's name come from AWS_…, as every tool for S3 reads them.
    options: dict[str, Any] = {} if endpoint is None else {"endpoint": endpoint}
    plain = endpoint is not None and endpoint.startswith("http://")
    try:
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={"allow_http": plain, "timeout": "10s"},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
            **options,
        )
    except BaseError as error:
        raise ConfigInvalid("HOMEWARD_TILES: the bucket cannot be used", field="HOMEWARD_TILES") from error
    return BucketTiles(store)


def _unreachable() -> Unavailable:
    return Unavailable(
        "the bucket of the log's files does not answer as it must",
        hint="check HOMEWARD_TILES, HOMEWARD_TILES_ENDPOINT and the AWS_… settings of this process",
    )
