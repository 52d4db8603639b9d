"""Everything that is the agency's own, in plain files: for when it leaves the exchange, or for an archive.

One JSON object a line. It is the children's data without any seal: whoever calls this says where it goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exchange.agency import sent_rows
from exchange.agency.client import Client
from exchange.agency.records import PHOTOS
from exchange.member import stored_files
from exchange.member.files import disk_errors, private_folder, write_private
from exchange_schemas.errors import Conflict


def export(client: Client, folder: Path, plain: Any) -> Mapping[str, int]:
    """Write records, consents, what was sent and opened, receipts and photos; how many of each.

    `plain` turns a value of the SDK into JSON. The folder must not exist. Raises: Conflict, StorageFull.
    """
    if folder.exists():
        raise Conflict(f"{folder.name} is there already: choose another name", field="folder")
    private_folder(folder)
    sources: Mapping[str, Iterable[object]] = {
        "records": client.records.each(),
        "consents": client.consents.each(),
        "consents-received": client.consents.received(),
        "sent": sent_rows.each(client.session.store),
        "messages": client.messages(),
        "receipts": client.receipts(),
    }
    counts = {name: _write(folder / f"{name}.ndjson", items, plain) for name, items in sources.items()}
    return {**counts, "photos": _photos(client, folder / "photos")}


def _photos(client: Client, folder: Path) -> int:
    """The photos of records and of messages that may still be looked at, as `REF.jpg` and `GID.jpg`."""
    private_folder(folder)
    store = client.session.store
    found = [(one.ref, stored_files.find(store, PHOTOS, one.ref)) for one in client.records.each()]
    found += [(one.gid, client.photo(one.gid)) for one in client.messages()]
    count = 0
    for name, photo in found:
        if photo is not None:
            photo.save(folder / f"{name}.jpg")
            count += 1
    return count


def _write(path: Path, items: Iterable[object], plain: Any) -> int:
    """A file that only its owner may read; line by line, so that memory stays flat."""
    write_private(path, b"")
    count = 0
    with disk_errors(path.name), path.open("a", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(plain(item), ensure_ascii=False) + "\n")
            count += 1
    return count
