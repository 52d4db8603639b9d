"""This member's own copy of the key directory: fetched, verified, kept, watched for its own events.

Decisions are made with this copy and nothing else. Every event is verified when it is first seen; later
commands go on from the sealed state (see `kept_directory`), and from the pages when that is lost or altered.
The newest checkpoint ever seen lies in the local store too: a copy, or a hub, that knows less is refused.
An event about this agency that it did not make is an alarm, and stays one until a person has looked at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exchange.directory.replay import leaf_data
from exchange.directory.snapshot import (
    EVENTS_PER_PAGE,
    FRESH_MOST,
    DirectoryLog,
    Page,
    check_covered,
    check_fresh,
)
from exchange.directory.state import DirectoryState
from exchange.log.checkpoint import Checkpoint, open_checkpoint
from exchange.log.note import split_note
from exchange.log.tree import leaf_hash
from exchange.member.home import Home
from exchange.member.kept_directory import Kept, KeptDirectory
from exchange.member.own_events import OwnEvents
from exchange.member.profile import Profile
from exchange.member.store import Store
from exchange.member.transport import Transport
from exchange.member.unwitnessed import Unwitnessed
from exchange_keys.box import StoreKey
from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue, b64u, format_time, parse_time
from exchange_schemas.envelope import TreeHead
from exchange_schemas.errors import (
    ConfigInvalid,
    ExchangeError,
    HubUnreachable,
    LogFork,
    LogIncomplete,
    LogStale,
)
from exchange_schemas.ids import AgencyId, Digest

FRESH_ENOUGH = timedelta(minutes=5)
STALE_AFTER = timedelta(hours=24)
SAVE_EVERY = 200
"""The state is sealed anew after so many events; the few since then are verified from the pages."""
_PATH = "/v1/directory/events"
_ROW = "directory"


@dataclass(frozen=True, slots=True)
class DirectorySync:
    """What a synchronisation brought: the copy's size, how many events were new, sentences of alarm."""

    size: int
    new_events: int
    alarms: tuple[str, ...]


class DirectoryCopy:
    """Loaded when it is first needed; every method leaves it verified."""

    def __init__(
        self, home: Home, profile: Profile, hub: Transport, store: Store, store_key: StoreKey
    ) -> None:
        """Use `Session.directory`."""
        self._home = home
        self._profile = profile
        self._hub = hub
        self._store = store
        self._files = KeptDirectory(home.directory, profile.deployment, store_key)
        self._kept: Kept | None = None
        self._saved = 0
        self._roots: dict[int, bytes] = {}
        self.own = OwnEvents(store, profile)
        self.patience = STALE_AFTER
        """How old the copy may be where the hub cannot be reached; longer where couriers bring it."""

    def state(self) -> DirectoryState:
        """What the copy says. Raises: ConfigInvalid (never synchronised), LogIncomplete, LogFork."""
        log = self._loaded().log
        if log.head is None:
            raise ConfigInvalid(
                "this agency has no copy of the key directory yet",
                hint="run `exchange-agency directory sync`",
            )
        if not log.complete:
            # Another command may be in the middle of a synchronisation; else the last one was cut short.
            with self._home.locked("the key directory"):
                log = self._reloaded().log
        if not log.complete:
            raise LogIncomplete(
                "the copy of the key directory lacks events that were seen before",
                rule="L4-order",
                hint="run `exchange-agency directory sync`",
            )
        return log.current()

    def position(self) -> TreeHead:
        """The copy's size and root, as a grant states them."""
        state = self.state()
        return TreeHead(size=state.size, root=Digest(b64u(state.frontier.root())))

    def check_position(self, claimed: TreeHead) -> None:
        """That a sender has seen the same directory: its position lies in this copy.

        Raises: LogFork (another past), LogStale (the sender has seen more than the hub shows here).
        """
        if claimed.size > self.state().size:
            self.sync()
        if claimed.size > self.state().size:
            raise LogStale(
                "dir: the sender has seen a newer key directory than the hub shows here",
                field="dir",
                rule="directory-behind",
                hint="try again; if it stays so, tell the operator",
            )
        if b64u(self._root_at(claimed.size)) != claimed.root:
            raise LogFork(
                "dir: the sender was shown another key directory than this agency",
                field="dir",
                rule="directory-fork",
                hint="stop using this hub and tell the commission",
            )

    def sync(self) -> DirectorySync:
        """Fetch and verify what is new, and look for events about this agency that it did not make.

        Raises: HubUnreachable, LogFork, LogIncomplete, LogStale (no witness has seen the log for a day),
        CheckpointInvalid, and what breaks a rule.
        """
        with self._home.locked("the key directory"):
            kept = self._reloaded()
            begun, alarms = kept.log.state.size, list[str]()
            while True:
                kept, page, new = self._next(kept)
                alarms += new
                if kept.log.complete:
                    break
            self._kept = kept
            self._save(kept)
            self._store.put(_ROW, "synced", {"at": format_time(self._hub.tokens.now())})
            self._note_witnessed(page)
        self._check_witnessed()
        return DirectorySync(kept.log.state.size, kept.log.state.size - begun, tuple(alarms))

    def ensure_fresh(self, *, agencies: Iterable[AgencyId] = (), size: int = 0) -> None:
        """Synchronise unless that was done in the last minutes; without a hub, a day-old copy will do.

        It is also done when one of `agencies` is not in the copy, or the hub speaks of a greater `size`.
        Raises: LogStale, and as `sync`.
        """
        age = self._age("synced")
        if age is not None and age < FRESH_ENOUGH and self._knows(agencies, size):
            self._check_witnessed()
            return
        try:
            self.sync()
        except HubUnreachable as error:
            if age is None or age > self.patience:
                raise LogStale(
                    f"the copy of the key directory is older than {_days(self.patience)} "
                    "and the hub cannot be reached",
                    rule="L7-fresh",
                    hint=error.hint,
                ) from error
            self._check_witnessed()

    def note_brought(self, at: datetime) -> None:
        """The newest events came with a courier that had asked the hub at that time, not now."""
        self._store.put(_ROW, "synced", {"at": format_time(min(at, self._hub.tokens.now()))})

    def witnessed_at(self) -> datetime | None:
        """When a quorum of the named witnesses had last cosigned what this copy holds; None: never."""
        found = self._store.get(_ROW, "witnessed")
        return None if found is None else parse_time(found.get("at"), field="at")

    def _witnessed_size(self) -> int:
        """The largest tree that a quorum is known to have cosigned; 0: none."""
        size = (self._store.get(_ROW, "witnessed") or {}).get("size")
        return size if isinstance(size, int) else 0

    def verify_all(self) -> int:
        """Verify every kept page again from the first event, whatever the sealed state says; the size.

        Raises: LogFork, LogIncomplete.
        """
        with self._home.locked("the key directory"):
            before = self._reloaded()
            again = self._replayed(self._joined())
            size = min(before.log.state.size, again.log.state.size)
            if again.root_at(size) != before.root_at(size):
                raise LogFork("the pages and the sealed state of the directory differ", rule="L6-root")
            if again.log.state.size < before.log.state.size:
                raise LogIncomplete("pages of the key directory are missing", rule="L4-order", hint=_AGAIN)
        return again.log.state.size

    def note_own(self, event: Signed) -> None:
        """Remember an event that this agency is about to log."""
        self.own.note(event)

    # -- fetching ------------------------------------------------------------------------------------------

    def _next(self, kept: Kept) -> tuple[Kept, Page, list[str]]:
        """The copy after one more page. Its alarms are stored before it is: no crash can swallow one."""
        start = kept.log.state.size
        answer = self._hub.get(_PATH, {"after": start, "limit": EVENTS_PER_PAGE})
        raw: dict[str, JsonValue] = {name: value for name, value in answer.items() if name != "receipt"}
        page = Page.from_json(raw)
        applied = kept.log.apply(page, own=self._profile.agency)
        alarms = self.own.alarms(page, applied.own)
        if page.events:
            self._files.keep_page(start, raw)
        if applied.log.head is not None and applied.log.head.size > self._seen_size():
            self._store.put(_ROW, "head", {"note": applied.log.note, "size": applied.log.head.size})
        return Kept(applied.log, kept.leaves + _leaves(page)), page, alarms

    def _seen_size(self) -> int:
        found = self._store.get(_ROW, "head")
        size = None if found is None else found["size"]
        return size if isinstance(size, int) else -1

    def _note_witnessed(self, page: Page) -> None:
        """Take the time of the newest quorum from a checkpoint of this very log that the hub shows."""
        quorum, pins = self._profile.deployment.witnesses, self._profile.deployment
        if quorum is None or self._kept is None:
            return
        known, size = self.witnessed_at(), self._witnessed_size()
        for note in (page.checkpoint, page.witnessed):
            if note is None:
                continue
            seen = open_checkpoint(note, [pins.directory_vkey])
            if seen.size > self._kept.log.state.size or self._root_at(seen.size) != seen.root:
                raise LogFork("witnessed: a checkpoint of another past", field="witnessed", rule="L6-root")
            at = quorum.cosigned_at(note, self._hub.tokens.now())
            if at is not None:
                known, size = at if known is None else max(known, at), max(size, seen.size)
                self._store.put(_ROW, "witnessed", {"at": format_time(known), "size": size})
        Unwitnessed(self._store).note(self._kept.log.state.size, size, self._hub.tokens.now())

    def _check_witnessed(self) -> None:
        """L7. Without named witnesses nothing can be said. Raises: LogStale."""
        if self._profile.deployment.witnesses is None:
            return
        now, most = self._hub.tokens.now(), max(FRESH_MOST, self.patience)
        check_fresh(self.witnessed_at(), now, required=True, most=most)
        check_covered(Unwitnessed(self._store).since(), now, most=most)

    def _knows(self, agencies: Iterable[AgencyId], size: int) -> bool:
        state = self.state()
        return state.size >= size and all(state.agency(one) is not None for one in agencies)

    def _age(self, name: str) -> timedelta | None:
        found = self._store.get(_ROW, name)
        if found is None:
            return None
        age = self._hub.tokens.now() - parse_time(found.get("at"), field="at")
        # A clock that was set back says nothing about freshness.
        return None if age < timedelta(0) else age

    # -- loading -------------------------------------------------------------------------------------------

    def _root_at(self, size: int) -> bytes:
        """The root over the first events; remembered, since senders often stand at the same size."""
        kept = self._loaded()
        if size not in self._roots:
            self._roots[size] = kept.root_at(size)
        return self._roots[size]

    def _loaded(self) -> Kept:
        return self._reloaded() if self._kept is None else self._kept

    def _reloaded(self) -> Kept:
        """What the files hold now: the sealed state and the pages since, or else all pages."""
        self._roots = {}
        sealed = self._files.load()
        self._saved = 0 if sealed is None else sealed.log.state.size
        kept = self._replayed(self._joined() if sealed is None else sealed)
        kept = self._remembered(kept)
        self._kept = kept
        if kept.log.complete:
            self._save(kept)
        return kept

    def _joined(self) -> Kept:
        pins = self._profile.deployment
        if pins.pin is None:
            raise ConfigInvalid(
                "the deployment file has no governance pin",
                field="governance.pin",
                hint="ask the operator for the file that `exchange-hub deployment export` writes",
            )
        return Kept(DirectoryLog.join(pins.origin, pin=pins.pin, vkeys=[pins.directory_vkey]), b"")

    def _replayed(self, kept: Kept) -> Kept:
        """After the kept pages that go on from there, each verified.

        Pages that came before a change of the log's key bear the signature of the one before alone: here, and
        only here, keys that were pinned once still count.
        """
        pinned = kept.log.vkeys
        kept = replace(kept, log=replace(kept.log, vkeys=(*pinned, *retired_vkeys(self._store))))
        kept = self._through_pages(kept)
        return replace(kept, log=replace(kept.log, vkeys=pinned))

    def _through_pages(self, kept: Kept) -> Kept:
        for page in self._files.pages(kept.log.state.size):
            try:
                log = kept.log.apply(page).log
            except ExchangeError as error:
                raise LogFork(
                    f"the kept copy of the key directory does not verify ({error.code})",
                    rule=error.rule,
                    hint="restore the folder directory/ from a backup, or delete it and sync again",
                ) from error
            kept = Kept(log, kept.leaves + _leaves(page))
        return kept

    def _remembered(self, kept: Kept) -> Kept:
        """The copy with the newest checkpoint that was ever seen. Raises: LogFork when they contradict."""
        found = self._store.get(_ROW, "head")
        if found is None:
            return kept
        # It was verified before it was stored, perhaps under a log key that is retired by now.
        note = str(found["note"])
        seen = Checkpoint.from_text(split_note(note)[0])
        if seen.size <= kept.log.state.size and kept.root_at(seen.size) != seen.root:
            raise LogFork("the copy of the key directory is not the one that was seen before", rule="L6-root")
        return Kept(kept.log.remembering(seen, note), kept.leaves)

    def _save(self, kept: Kept) -> None:
        size = kept.log.state.size
        if size >= self._saved + SAVE_EVERY or (size and not self._saved):
            self._files.save(kept)
            self._saved = size


def retired_vkeys(store: Store) -> tuple[str, ...]:
    """The keys of the directory's log that this member had pinned before."""
    found = store.get(_ROW, "retired")
    vkeys = None if found is None else found["vkeys"]
    return tuple(str(vkey) for vkey in vkeys) if isinstance(vkeys, list) else ()


def retire_vkey(store: Store, vkey: str) -> None:
    """Remember a pinned key that is about to be replaced."""
    with store.writing():
        known = retired_vkeys(store)
        if vkey not in known:
            store.put(_ROW, "retired", {"vkeys": [*known, vkey]})


def _days(patience: timedelta) -> str:
    return "a day" if patience.days == 1 else f"{patience.days} days"


_AGAIN = "delete the folder directory/ and run `exchange-agency directory sync`"


def _leaves(page: Page) -> bytes:
    return b"".join(leaf_hash(leaf_data(item.signed)) for item in page.events)
