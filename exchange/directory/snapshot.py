"""A client's own copy of the key directory: it follows the log page by page and believes nothing else.

Pinned out of band, once: the digest of the first governance event and the log's verifier keys. Every page
must continue what is already here; a hub that shows another past, or a shorter one, is refused and stays
refused. Nothing here may fetch, or decide with a copy that has not reached its newest checkpoint.

A page is taken in these steps; an error names its step in `rule`, but L5, where it is the directory's rule:
  L1 note         CHECKPOINT_INVALID  a pinned key of this log signed the checkpoint
  L2 forward      LOG_FORK            not smaller than the newest one seen; of the same size, the same root
  L3 consistency  LOG_FORK            the tree of the copy is a prefix of it
  L4 order        LOG_INCOMPLETE      the events go on where the copy ends, up to the checkpoint at most
  L5 rules        every event is lawful after the ones before it, and its key bytes match
  L6 root         LOG_FORK            at the size of each checkpoint seen, the root of the events is its root
A checkpoint has no time; how fresh it is, only a witness's cosignature can say. So beside the steps:
  L7 fresh        LOG_STALE           `check_fresh`: the newest quorum cosignature is at most 24 hours old;
                                      `check_covered`: no event of the copy has waited for one for longer
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from exchange.directory.cache import StateSchema, read_state, write_state
from exchange.directory.events import read_key_bytes
from exchange.directory.replay import Replay
from exchange.directory.rules import subject_of
from exchange.directory.state import DirectoryState
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.note import NOTE_CHARS
from exchange.log.tree import EMPTY_ROOT, HASH_BYTES, verify_consistency
from exchange_keys.jws import Signed
from exchange_schemas.codec import Encodable, JsonValue, b64u, decode, encode, unb64u
from exchange_schemas.errors import (
    LogError,
    LogFork,
    LogIncomplete,
    LogStale,
    Malformed,
    ProofInvalid,
    ProtocolError,
    StoreCorrupt,
)
from exchange_schemas.event import Event
from exchange_schemas.ids import AgencyId, Digest, Kid
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, ListOf, Octets, Whole
from exchange_schemas.payload import Object, StrictSchema, read_members

EVENTS_PER_PAGE: Final = 500
FRESH_MOST: Final = timedelta(hours=24)
_KEYS_PER_EVENT: Final = 2
_PROOF_HASHES: Final = 64
COPY_BYTES: Final = 512 * 1024 * 1024
_TYP: Final = "hx-directory-copy"


@dataclass(frozen=True, slots=True)
class PageEvent:
    """One event of a page: its index in the log, its JWS, the bytes of the keys that it names."""

    index: int
    signed: Signed
    keys: Mapping[Kid, bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a size, the size and note of the newest checkpoint, and the proof between the two.

    `witnessed` is the note of the newest checkpoint that the hub holds cosignatures of; None: it shows none.
    """

    events: tuple[PageEvent, ...]
    size: int
    checkpoint: str
    consistency: tuple[bytes, ...]
    witnessed: str | None = None

    @classmethod
    def from_json(cls, value: JsonValue) -> "Page":
        """Read the hub's answer, already decoded, strictly.

        Raises: Malformed.
        """
        shown = value.get("witnessed") if isinstance(value, dict) else None
        if shown is not None and not isinstance(shown, str):
            raise Malformed("witnessed: a text is needed", field="witnessed")
        names = {"events", "size", "checkpoint", "consistency"}
        page = _members(value, names if shown is None else {*names, "witnessed"}, "page")
        size, checkpoint = page["size"], page["checkpoint"]
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise Malformed("size: a count is needed", field="size")
        if not isinstance(checkpoint, str):
            raise Malformed("checkpoint: a text is needed", field="checkpoint")
        return cls(
            tuple(_page_event(item) for item in _items(page["events"], EVENTS_PER_PAGE, "events")),
            size,
            checkpoint,
            tuple(
                unb64u(item, field="consistency", length=HASH_BYTES)
                for item in _items(page["consistency"], _PROOF_HASHES, "consistency")
            ),
            shown,
        )


class CopySchema(StrictSchema):
    """A copy in a local file. Checkpoints are their texts; `note` is the newest one, signed."""

    v = Whole(1, 1)
    typ = Code([_TYP])
    vkeys = ListOf(Octets(most=1024), most=16)
    note = Octets(most=NOTE_CHARS, required=False)
    head = Octets(most=1024, required=False)
    heads = ListOf(Octets(most=1024), most=10**6)
    state = Object(StateSchema, read_state)


@dataclass(frozen=True, slots=True)
class DirectoryLog:
    """The copy so far. `heads` are the checkpoints seen and not yet reached, `head` the newest one of all."""

    vkeys: tuple[str, ...]
    state: DirectoryState
    head: Checkpoint | None
    heads: tuple[Checkpoint, ...]
    note: str

    @classmethod
    def join(cls, origin: str, *, pin: Digest, vkeys: Iterable[str]) -> "DirectoryLog":
        """An empty copy for the deployment `origin` with what was pinned out of band."""
        return cls(tuple(vkeys), DirectoryState.empty(origin, pin=pin), None, (), "")

    @property
    def complete(self) -> bool:
        """Whether every event up to the newest checkpoint seen is here."""
        return self.head is not None and self.state.size == self.head.size

    def current(self) -> DirectoryState:
        """The state to decide with.

        Raises: LogIncomplete while events that a checkpoint promised are missing.
        """
        if not self.complete:
            raise LogIncomplete("directory: the copy has not reached its checkpoint", rule="L4-order")
        return self.state

    def remembering(self, seen: Checkpoint, note: str) -> "DirectoryLog":
        """The same copy for a client that has verified the checkpoint `seen` before: nothing shorter will do.

        For an empty or older copy, so that losing its files does not let a hub show another past.
        """
        if self.head is not None and self.head.size >= seen.size:
            return self
        return DirectoryLog(self.vkeys, self.state, seen, (*self.heads, seen), note)

    def apply(self, page: Page, *, own: AgencyId | None = None) -> "Applied":
        """Take one page that was asked for with `after` = the copy's size; the copy itself never changes.

        `own` is the agency whose events are handed back: whether it made them is the caller's to know.
        Raises: the errors of the steps above.
        """
        head = self._forward(page)
        self._check_consistency(page, head)
        heads = self.heads if self.head is not None and head == self.head else (*self.heads, head)
        replay = Replay(self.state)
        mine = []
        waiting = list(heads)
        for item in page.events:
            if item.index != replay.frontier.size or item.index >= head.size:
                raise LogIncomplete("events: not the next one of the log", field="events", rule="L4-order")
            event = replay.apply(item.signed, item.keys).event
            if own is not None and subject_of(event) == own:
                mine.append((item.index, event))
            _reach(waiting, replay)
        _reach(waiting, replay)
        if not page.events and self.state.size < head.size:
            raise LogIncomplete("events: there are more, and none came", field="events", rule="L4-order")
        log = DirectoryLog(self.vkeys, replay.state(), head, tuple(waiting), page.checkpoint)
        return Applied(log, tuple(mine))

    def to_bytes(self) -> bytes:
        """The copy as strict JSON bytes, to be stored sealed: see `exchange.directory.cache`."""
        members: dict[str, Encodable] = {
            "v": 1,
            "typ": _TYP,
            "vkeys": [_octets(key) for key in self.vkeys],
            "heads": [_octets(head.text()) for head in self.heads],
            "state": write_state(self.state),
        }
        if self.head is not None:
            members |= {"head": _octets(self.head.text()), "note": _octets(self.note)}
        return encode(members)

    @classmethod
    def from_bytes(cls, data: bytes) -> "DirectoryLog":
        """Read what `to_bytes` wrote.

        Raises: StoreCorrupt.
        """
        try:
            copy = read_members(CopySchema, decode(data, limit=COPY_BYTES))
            head = Checkpoint.from_text(copy["head"].decode()) if "head" in copy else None
            state: DirectoryState = copy["state"]
            _check_reached(state, head)
            return cls(
                tuple(key.decode() for key in copy["vkeys"]),
                state,
                head,
                tuple(Checkpoint.from_text(item.decode()) for item in copy["heads"]),
                copy.get("note", b"").decode(),
            )
        except (ProtocolError, LogError, UnicodeDecodeError):
            raise StoreCorrupt("directory copy: damaged; fetch the directory again") from None

    def _forward(self, page: Page) -> Checkpoint:
        """L1 and L2."""
        head = open_checkpoint(page.checkpoint, self.vkeys)
        if head.size != page.size:
            raise LogFork("size: not that of the checkpoint", field="size", rule="L2-forward")
        seen = self.head
        if seen is not None and (
            head.size < seen.size or (head.size == seen.size and head.root != seen.root)
        ):
            raise LogFork("checkpoint: it goes back, or contradicts one seen", rule="L2-forward")
        return head

    def _check_consistency(self, page: Page, head: Checkpoint) -> None:
        """L3. Nothing can be proved of an empty copy, and nothing needs proof between equal sizes."""
        frontier = self.state.frontier
        try:
            if frontier.size in (0, head.size):
                if page.consistency:
                    raise ProofInvalid("consistency: a proof where none can be")
            else:
                verify_consistency(frontier.size, head.size, page.consistency, frontier.root(), head.root)
        except ProofInvalid:
            raise LogFork("consistency: the log does not continue this copy", rule="L3-consistency") from None


@dataclass(frozen=True, slots=True)
class Applied:
    """The copy after a page, and the events about one's own agency in it, each with its index."""

    log: DirectoryLog
    own: tuple[tuple[int, Event], ...]


def check_fresh(
    cosigned: datetime | None, now: datetime, *, required: bool = False, most: timedelta = FRESH_MOST
) -> None:
    """Refuse a copy whose newest quorum cosignature is older than `most`; None where there is none.

    Until there are witnesses, a caller leaves `required` False and None passes. Raises: LogStale.
    """
    stale = required if cosigned is None else now - cosigned > most
    if stale:
        raise LogStale("directory: no cosignature that is new enough", rule="L7-fresh")


def check_covered(waiting: datetime | None, now: datetime, *, most: timedelta = FRESH_MOST) -> None:
    """Refuse a copy with events that no quorum has cosigned within `most`; `waiting`: since when it has them.

    A fresh cosignature on an older checkpoint says nothing of what came after. Raises: LogStale.
    """
    if waiting is not None and now - waiting > most:
        raise LogStale("directory: it has events that no quorum of witnesses has seen", rule="L7-fresh")


def _check_reached(state: DirectoryState, head: Checkpoint | None) -> None:
    """That a stored state can have come from a log with this newest checkpoint."""
    if head is None or state.size >= head.size:
        reached = (0, EMPTY_ROOT) if head is None else (head.size, head.root)
        if (state.size, state.frontier.root()) != reached:
            raise LogFork("state: not the one of its checkpoint", rule="L6-root")


def _reach(waiting: list[Checkpoint], replay: Replay) -> None:
    """L6 for the checkpoints whose size the replay has now."""
    while waiting and waiting[0].size == replay.frontier.size:
        if waiting.pop(0).root != replay.frontier.root():
            raise LogFork("checkpoint: its root is not that of the events", rule="L6-root")


def _octets(text: str) -> str:
    return b64u(text.encode())


def _members(value: JsonValue, names: set[str], what: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict) or set(value) != names:
        raise Malformed(f"{what}: exactly the members {', '.join(sorted(names))} are needed", field=what)
    return value


def _items(value: JsonValue, most: int, what: str) -> list[JsonValue]:
    if not isinstance(value, list) or len(value) > most:
        raise Malformed(f"{what}: a list of at most {most} is needed", field=what)
    return value


def _page_event(value: JsonValue) -> PageEvent:
    item = _members(value, {"index", "event", "keys"}, "events")
    index, keys = item["index"], item["keys"]
    if not isinstance(index, int) or isinstance(index, bool):
        raise Malformed("events: an index is needed", field="events")
    if not isinstance(keys, dict) or len(keys) > _KEYS_PER_EVENT:
        raise Malformed("keys: an object of at most two keys is needed", field="keys")
    signed = Signed.from_json(item["event"], LIMITS.event_bytes)
    return PageEvent(index, signed, read_key_bytes(keys))
