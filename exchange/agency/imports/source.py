"""Decide what a file is and read it record by record: PFIF XML or a Primero case list.

The decision looks at the first bytes only; the file's name is not trusted.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from exchange.agency.imports import pfif, primero
from exchange.agency.imports.model import Imported, Refused
from exchange_schemas.errors import ImportUnreadable

_SNIFF_BYTES = 4096


def read_source(path: Path, *, now: datetime, locations: Path | None = None) -> Iterator[Imported | Refused]:
    """Yield every record of `path`, mapped or refused, in the file's order.

    `now` (aware UTC) decides expiry and present age; `locations` is Primero's list of locations.
    Memory stays flat for PFIF; a case list is bounded by its size limit.

    Raises: ImportUnreadable when the file cannot be read, is neither format, or is hostile. Records
    yielded before that point were whole.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFF_BYTES)
    except OSError as error:
        raise ImportUnreadable(f"the file cannot be read: {error.strerror}", field="file") from error
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"{", b"["):
        places = primero.read_locations(locations) if locations is not None else {}
        yield from primero.read(path, now=now, locations=places)
    elif start[:1] == b"<" or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        if locations is not None:
            raise ImportUnreadable("a locations file goes with a Primero case list only", field="locations")
        yield from pfif.read(path, now=now)
    else:
        raise ImportUnreadable(
            "this file is neither PFIF XML nor a Primero case list",
            field="file",
            rule="import-format",
            hint="export PFIF 1.1 to 1.4 XML, or the JSON of Primero's API at /api/v2/cases",
        )
