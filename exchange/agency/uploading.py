"""Uploading a sealed attachment, so that neither a broken line nor a killed program begins it again.

A long one goes up in pieces. Every answer says how far the hub has come, and the next piece begins there; the
first piece is a small one, since after an interruption it only asks. Nothing is remembered here: the file in
the spool and what the hub says are enough. Whatever the hub says, no more is sent than a few times the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from exchange.member.transport import Transport
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import HubRefused

FIRST_BYTES = 64 * 1024
PIECE_BYTES = 1024 * 1024
MAX_STEPS_BACK = 3
OnBytes = Callable[[str, int, int], None]


def upload(hub: Transport, digest: str, path: Path, on_bytes: OnBytes) -> None:
    """Bring the file `path` to the hub under its digest; what the hub has of it already is not sent again.

    Raises: HubUnreachable (what arrived is not lost), PartDigest, StorageFull, HubRefused, OSError.
    """
    with path.open("rb") as file:
        size, offset, steps_back = os.fstat(file.fileno()).st_size, 0, 0
        while True:
            answer = _send_piece(hub, digest, file, offset, size)
            if "received" not in answer:
                on_bytes("uploading", size, size)
                return
            received = _received(answer, size)
            steps_back += received <= offset
            if steps_back > MAX_STEPS_BACK:
                raise HubRefused("the hub does not keep what is uploaded", field="received")
            on_bytes("uploading", received, size)
            offset = received


def _send_piece(hub: Transport, digest: str, file: BinaryIO, offset: int, size: int) -> dict[str, JsonValue]:
    """One piece, held in memory no longer than this call."""
    file.seek(offset)
    piece = file.read(FIRST_BYTES if offset == 0 and size > PIECE_BYTES else PIECE_BYTES)
    whole = len(piece) == size
    place: Mapping[str, int] = {} if whole else {"offset": offset, "size": size}
    return hub.put(f"/v1/parts/{digest}", piece, place)


def _received(answer: Mapping[str, JsonValue], size: int) -> int:
    received = answer.get("received")
    if isinstance(received, bool) or not isinstance(received, int) or not 0 <= received < size:
        raise HubRefused("the hub's answer to an upload cannot be right", field="received")
    return received
