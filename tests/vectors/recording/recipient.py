"""What a recipient is made of when a vector is opened: its directory, its keys, its clock; nothing of a hub.

The agency program's own steps run on it (exchange.agency.verification, .opening), so that a vector's result
is that of the program and not of a copy of its rules.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from exchange.agency.fetched import read_fetched
from exchange.agency.opening import open_parts
from exchange.agency.verification import verify
from exchange.directory.replay import leaf_data
from exchange.directory.state import DirectoryState
from exchange.log.tree import Frontier, leaf_hash
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.envelope import TreeHead
from exchange_schemas.errors import KidUnknown, LogFork, NotFound
from exchange_schemas.ids import AgencyId, GrantId, Kid
from tests.vectors.recording.world import Event


@dataclass(frozen=True, slots=True)
class Copy:
    """The recipient's copy of the directory after all events of a log."""

    log: tuple[Event, ...]
    replayed: DirectoryState

    def state(self) -> DirectoryState:
        return self.replayed

    def check_position(self, claimed: TreeHead) -> None:
        frontier = Frontier.empty()
        for signed, _ in self.log[: claimed.size]:
            frontier = frontier.append(leaf_hash(leaf_data(signed)))
        if b64u(frontier.root()) != claimed.root:
            raise LogFork("dir: another directory", field="dir")


@dataclass(frozen=True, slots=True)
class Keys:
    """The recipient's enc keys by kid."""

    enc: dict[Kid, EncKey]

    def enc_for(self, kid: Kid) -> EncKey:
        found = self.enc.get(kid)
        if found is None:
            raise KidUnknown("rcp_kid: not a key of this agency", field="rcp_kid")
        return found


class NothingMore:
    """A hub that has given all that it gives: a photo that was left out is not to be had."""

    def download(self, path: str, *, start: int = 0, tag: str = "") -> NoReturn:
        raise NotFound("there is no such part")


def open_answer(
    copy: Copy,
    keys: Keys,
    *,
    agency: AgencyId,
    gid: str,
    answer: dict[str, JsonValue],
    now: datetime,
    withdrawn: bool,
) -> dict[str, Any]:
    """The values of a hub's answer by field, or the error of the first step that refuses it.

    A photo comes as its bytes; its ciphertext must stand in the answer.
    """
    with tempfile.TemporaryDirectory() as spool:
        return _opened(copy, keys, Path(spool), agency, gid, answer, now, withdrawn)


def _opened(
    copy: Copy,
    keys: Keys,
    spool: Path,
    agency: AgencyId,
    gid: str,
    answer: dict[str, JsonValue],
    now: datetime,
    withdrawn: bool,
) -> dict[str, Any]:
    session: Any = SimpleNamespace(
        directory=copy,
        home=SimpleNamespace(spool=spool),
        hub=NothingMore(),
        enc_key=keys.enc_for,
        profile=SimpleNamespace(agency=agency),
        now=lambda: now,
        store=None,
    )
    fetched = read_fetched(GrantId(gid), answer)
    verified = verify(session, fetched, withdrawn=withdrawn)
    with open_parts(session, fetched, verified.core, lambda _what, _done, _all: None) as opened:
        photo = io.BytesIO()
        if opened.photo is not None:
            opened.photo.open_into(photo)
        shown = {} if opened.photo is None else {"photo": photo.getvalue()}
        return {**opened.fields, **opened.content, **shown}
