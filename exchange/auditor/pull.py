"""Bring an auditor's copy of the log up to date, from the hub's public read interface only.

The order: (1) announce the pull (one entry in the log, with the size it covers); (2) prove the rightmost
tiles by the new checkpoint; (3) prove that the new tree continues the one pulled before; (4) fetch the hash
tiles that are missing from the top down, then the entry bundles, each proved before it is stored; (5) fetch
the salts of the slices; (6) write the checkpoint. Nothing is written before (3) holds, so that a hub that
lies leaves the copy as it was, and the note that proves the lie is kept. The checkpoint comes last: a torn
pull is simply run again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from exchange.auditor.intake import Intake
from exchange.auditor.mirror import Mirror, StoredTile
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.note import NOTE_BYTES
from exchange.log.slices import SALT_BYTES
from exchange.log.tiles import TILE_HEIGHT, Tile, encode_bundle, node_reader, tile_path, tiles_of
from exchange.log.tree import frontier_at
from exchange.member.witnessed import LOG_PREFIX, TileSource
from exchange_schemas.codec import Encodable, JsonValue, unb64u
from exchange_schemas.errors import (
    CheckpointInvalid,
    ConfigInvalid,
    HubRefused,
    LogFork,
    Malformed,
    NotPermitted,
    ProofInvalid,
)
from exchange_schemas.ids import check_agency

LIMITED = "accredited-for-some"
"""The rule of the NotPermitted that an auditor of some agencies gets; its pull is open all the same."""


class Source(Protocol):
    """The calls of `exchange.member.transport.Transport` that a pull needs."""

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, JsonValue]:
        """GET and give the JSON answer."""

    def post(
        self, path: str, body: dict[str, Encodable], *, repeatable: bool = True
    ) -> tuple[int, dict[str, JsonValue]]:
        """POST and give (status, JSON answer)."""

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        """GET a binary answer of at most `limit` bytes."""

    def get_text(self, path: str, *, limit: int) -> str:
        """GET a public text of at most `limit` bytes."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one pull did: entries known before, entries known now, files fetched."""

    before: int
    size: int
    files: int


# A bundle is at most 256 entries of 16 KiB with a length each; a tile is 8 KiB.
_BUNDLE_BYTES = 256 * (16 * 1024 + 2)
_TILE_BYTES = 256 * 32


def pull(
    mirror: Mirror,
    source: Source,
    vkey: str,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pulled:
    """Fetch everything the log has that the mirror lacks. `progress` gets (files done, files in all).

    Raises: LogFork when the hub's log does not continue the one pulled before; ProofInvalid, EntryInvalid
    when the hub shows what it did not commit to; StoreLocked; the hub's own refusals.
    """
    with mirror.locked():
        changed = not mirror.pins(vkey)
        if not changed:
            mirror.pin(vkey)
        old = open_checkpoint(mirror.checkpoint, mirror.vkeys) if mirror.has_checkpoint() else None
        before = 0 if old is None else old.size
        if old is not None:
            mirror.keep_checkpoint(before, mirror.checkpoint)
        note = _announce(source, before)
        if changed:
            check_change(mirror, note, vkey)
        intake = _proved(mirror, source, old, note, vkey)
        if changed:
            mirror.add_key(vkey)
        size = open_checkpoint(note, [vkey]).size
        wanted = [tile for tile in _tiles(size) if not (_is_old(tile, before) and mirror.has_tile(tile))]
        for number, tile in enumerate(wanted, start=1):
            _store(mirror, intake, tile)
            progress(number, len(wanted))
        _pull_salts(mirror, source)
        mirror.write_checkpoint(note)
        # Only now: a kept checkpoint beyond the copy's own would look like a log that went back.
        mirror.keep_checkpoint(size, note)
    return Pulled(before, size, intake.fetched)


def check_change(mirror: Mirror, note: str, vkey: str) -> None:
    """That the log signs with its next key beside the newest one that is pinned here.

    Raises: ConfigInvalid when it does not: the folder is of another log, or slept through the change.
    """
    try:
        for key in (mirror.vkey, vkey):
            open_checkpoint(note, [key])
    except CheckpointInvalid as error:
        raise ConfigInvalid(
            "the folder holds a log with another key, and the log does not sign with both",
            field="DIR",
            hint="pull into an empty folder, and keep this one: ask the operator for the key in between",
        ) from error


def public_checkpoint(source: TileSource) -> str:
    """The checkpoint that the hub shows to everybody, with the cosignatures it has."""
    return source.get_text(LOG_PREFIX + "checkpoint", limit=NOTE_BYTES)


def keep_seen(mirror: Mirror, note: str, vkey: str) -> Checkpoint:
    """Keep a checkpoint that somebody showed, if the copy reaches so far; gives what it says.

    One of a larger tree is not kept: pull first. `vkey`: the log's key; those that are pinned here count too,
    since while it changes over a witness may know none but the one before.
    Raises: LogFork when it contradicts the copy, and then it is kept as evidence; CheckpointInvalid.
    """
    with mirror.locked():
        current = open_checkpoint(mirror.checkpoint, mirror.vkeys)
        seen = open_checkpoint(note, {vkey, *mirror.vkeys})
        if seen.size > current.size:
            return seen
        read = node_reader(current.size, lambda tile: mirror.stored(tile).data)
        if frontier_at(seen.size, read).root() != seen.root:
            raise with_evidence(mirror, note, _forked())
        mirror.keep_checkpoint(seen.size, note)
    return seen


def _announce(source: Source, before: int) -> str:
    """The note that the hub shows for this pull. Raises: NotPermitted when it is not for the whole log."""
    try:
        _, answer = source.post("/v1/audit/pulls", {"from": before}, repeatable=False)
    except Malformed as error:
        if error.field != "from":
            raise
        # The hub holds fewer entries than we do, and says so; its public checkpoint is the signed proof.
        return public_checkpoint(source)
    note, about = answer.get("checkpoint"), answer.get("about")
    if not isinstance(note, str):
        raise HubRefused("the hub's answer holds no checkpoint", field="checkpoint")
    if about is not None:
        raise NotPermitted("this auditor is accredited for some agencies only", rule=LIMITED)
    return note


def _proved(mirror: Mirror, source: Source, old: Checkpoint | None, note: str, vkey: str) -> Intake:
    """Steps (2) and (3); a signed note that contradicts the copy is kept as evidence."""

    def fetch(tile: Tile) -> bytes:
        limit = _BUNDLE_BYTES if tile.level is None else _TILE_BYTES
        return source.get_bytes(LOG_PREFIX + tile_path(tile.level, tile.n, tile.width), limit=limit)

    new = open_checkpoint(note, [vkey])
    try:
        if old is not None and new.size < old.size:
            raise LogFork(
                "the hub's log is shorter than the one pulled before", field="checkpoint", rule="rolled-back"
            )
        if old is not None and new.size == old.size and new.root != old.root:
            raise _forked()
        intake = Intake(mirror, new, fetch)
        if old is not None and frontier_at(old.size, intake.read).root() != old.root:
            raise _forked()
    except LogFork as error:
        raise with_evidence(mirror, note, error) from None
    return intake


def _tiles(size: int) -> Iterator[Tile]:
    """Every hash tile of the tree from the top level down, then every bundle."""
    levels = 0
    while size >> (TILE_HEIGHT * levels):
        levels += 1
    for level in reversed(range(levels)):
        yield from tiles_of(size, level=level)
    yield from tiles_of(size, level=None)


def _is_old(tile: Tile, before: int) -> bool:
    """Whether the tree pulled before had this tile just as it is: it was proved then."""
    count = before >> (TILE_HEIGHT * (tile.level or 0))
    return tile.start + tile.width <= count


def _store(mirror: Mirror, intake: Intake, tile: Tile) -> None:
    data = encode_bundle(intake.entries(tile)) if tile.level is None else b"".join(intake.hashes(tile))
    if not mirror.has_tile(tile) or mirror.stored(tile) != StoredTile(tile.width, data):
        mirror.write_tile(tile, data)


def _pull_salts(mirror: Mirror, source: Source) -> None:
    """Every party's salt; one that was known before may never be another. Raises: ProofInvalid."""
    known = mirror.salts() or {}
    found, shown, after = dict(known), set[str](), ""
    while True:
        answer = source.get("/v1/audit/salts", {"after": after} if after else {})
        listed = answer.get("salts")
        if not isinstance(listed, list):
            raise HubRefused("the hub's answer holds no salts", field="salts")
        for item in listed:
            party, salt = _salt(item)
            if party in shown:
                raise HubRefused("the hub's pages of salts do not go on", field="salts")
            if found.setdefault(party, salt) != salt:
                raise ProofInvalid(f"the hub shows another salt for {party} than before", field="salts")
            after = party
            shown.add(party)
        if not listed or answer.get("more") is not True:
            break
    if found != known or not known:
        mirror.write_salts(found)


def _salt(item: JsonValue) -> tuple[str, bytes]:
    if not isinstance(item, dict):
        raise HubRefused("the hub's answer holds no salts", field="salts")
    return check_agency(item.get("party"), field="party"), unb64u(
        item.get("salt"), field="salt", length=SALT_BYTES
    )


def with_evidence(mirror: Mirror, note: str, error: LogFork) -> LogFork:
    """The error, with the note that proves it kept beside the copy."""
    kept = mirror.keep_evidence(note, "forked" if error.rule is None else error.rule)
    error.hint = f"tell the other auditors; the log's signed note is kept in {kept}"
    return error


def _forked() -> LogFork:
    return LogFork("the hub's log does not continue the one pulled before", field="checkpoint", rule="forked")
