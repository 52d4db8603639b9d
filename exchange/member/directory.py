"""This member's own copy of the key directory: fetched, verified, kept, watched for its own events.

The pages lie as they came in directory/ (public data) and are verified again whenever they are loaded: a
file that was changed on disk is found like a lie of the hub. Decisions are made with this copy and nothing
else; an event about this agency that it did not make is an alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from exchange.directory.replay import leaf_data
from exchange.directory.snapshot import EVENTS_PER_PAGE, DirectoryLog, Page
from exchange.directory.state import DirectoryState
from exchange.log.tree import Frontier, leaf_hash
from exchange.member.files import read_bounded, write_private
from exchange.member.home import Home
from exchange.member.own_events import OwnEvents
from exchange.member.profile import Profile
from exchange.member.store import Store
from exchange.member.transport import Transport
from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue, b64u, decode, encode, format_time, parse_time
from exchange_schemas.envelope import TreeHead
from exchange_schemas.errors import (
    ConfigInvalid,
    ExchangeError,
    HubUnreachable,
    LogFork,
    LogIncomplete,
    LogStale,
    Malformed,
)
from exchange_schemas.ids import AgencyId, Digest

PAGE_BYTES = 32 * 1024 * 1024
FRESH_ENOUGH = timedelta(minutes=5)
STALE_AFTER = timedelta(hours=24)
_DEPTH = 12
_PATH = "/v1/directory/events"


@dataclass(frozen=True, slots=True)
class DirectorySync:
    """What a synchronisation brought: the copy's size, how many events were new, sentences of alarm."""

    size: int
    new_events: int
    alarms: tuple[str, ...]


class DirectoryCopy:
    """Loaded when it is first needed; every method leaves it verified."""

    def __init__(self, home: Home, profile: Profile, hub: Transport, store: Store) -> None:
        """Use `Session.directory`."""
        self._home = home
        self._profile = profile
        self._hub = hub
        self._store = store
        self._log: DirectoryLog | None = None
        self._leaves: list[bytes] = []
        self.own = OwnEvents(store, profile)

    def state(self) -> DirectoryState:
        """What the copy says. Raises: ConfigInvalid (never synchronised), LogIncomplete, LogFork."""
        log = self._loaded()
        if log.head is None:
            raise ConfigInvalid(
                "this agency has no copy of the key directory yet",
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
        frontier = Frontier.empty()
        for leaf in self._leaves[: claimed.size]:
            frontier = frontier.append(leaf)
        if b64u(frontier.root()) != claimed.root:
            raise LogFork(
                "dir: the sender was shown another key directory than this agency",
                field="dir",
                rule="directory-fork",
                hint="stop using this hub and tell the commission",
            )

    def sync(self) -> DirectorySync:
        """Fetch and verify what is new, and look for events about this agency that it did not make.

        Raises: HubUnreachable, LogFork, LogIncomplete, CheckpointInvalid, and what breaks a rule.
        """
        with self._home.locked("the key directory"):
            self._log, self._leaves = None, []
            log = self._loaded()
            begun, alarms = log.state.size, list[str]()
            while True:
                page, raw = self._fetch(log.state.size)
                applied = log.apply(page, own=self._profile.agency)
                alarms += self.own.alarms(page, applied.own)
                if page.events:
                    self._keep(log.state.size, raw)
                self._take(page)
                log = applied.log
                if log.complete:
                    break
            self._log = log
            self._store.put("directory", "synced", {"at": format_time(self._hub.tokens.now())})
        return DirectorySync(log.state.size, log.state.size - begun, tuple(alarms))

    def ensure_fresh(self, *, agencies: Iterable[AgencyId] = (), size: int = 0) -> None:
        """Synchronise unless that was done in the last minutes; without a hub, a day-old copy will do.

        It is also done when one of `agencies` is not in the copy, or the hub speaks of a greater `size`.
        Raises: LogStale, and as `sync`.
        """
        age = self._age()
        if age is not None and age < FRESH_ENOUGH and self._knows(agencies, size):
            return
        try:
            self.sync()
        except HubUnreachable as error:
            if age is None or age > STALE_AFTER:
                raise LogStale(
                    "the copy of the key directory is older than a day and the hub cannot be reached",
                    rule="L7-fresh",
                    hint=error.hint,
                ) from error

    def _knows(self, agencies: Iterable[AgencyId], size: int) -> bool:
        state = self.state()
        return state.size >= size and all(state.agency(one) is not None for one in agencies)

    def _age(self) -> timedelta | None:
        found = self._store.get("directory", "synced")
        if found is None:
            return None
        age = self._hub.tokens.now() - parse_time(found.get("at"), field="at")
        # A clock that was set back says nothing about freshness.
        return None if age < timedelta(0) else age

    def note_own(self, event: Signed) -> None:
        """Remember an event that this agency is about to log."""
        self.own.note(event)

    def _fetch(self, after: int) -> tuple[Page, Mapping[str, JsonValue]]:
        answer = self._hub.get(_PATH, {"after": after, "limit": EVENTS_PER_PAGE})
        raw = {name: value for name, value in answer.items() if name != "receipt"}
        return Page.from_json(raw), raw

    def _keep(self, start: int, raw: Mapping[str, JsonValue]) -> None:
        write_private(self._home.directory / f"{start:09d}.json", encode(raw, depth=_DEPTH))

    def _take(self, page: Page) -> None:
        self._leaves += [leaf_hash(leaf_data(item.signed)) for item in page.events]

    def _loaded(self) -> DirectoryLog:
        if self._log is None:
            self._log = self._load()
        return self._log

    def _load(self) -> DirectoryLog:
        pins = self._profile.deployment
        if pins.pin is None:
            raise ConfigInvalid(
                "the deployment file has no governance pin",
                field="governance.pin",
                hint="ask the operator for the file that `exchange-hub deployment export` writes",
            )
        log = DirectoryLog.join(pins.origin, pin=pins.pin, vkeys=[pins.directory_vkey])
        for path in sorted(self._home.directory.glob("*.json")):
            page = _read_page(read_bounded(path, limit=PAGE_BYTES, what="copy of the key directory"))
            try:
                log = log.apply(page).log
            except ExchangeError as error:
                raise LogFork(
                    f"the kept copy of the key directory does not verify ({error.code})",
                    rule=error.rule,
                    hint="restore the folder directory/ from a backup, or delete it and sync again",
                ) from error
            self._take(page)
        return log


def _read_page(data: bytes) -> Page:
    try:
        return Page.from_json(decode(data, limit=PAGE_BYTES, depth=_DEPTH))
    except Malformed as error:
        raise LogIncomplete(
            "the kept copy of the key directory is damaged",
            hint="delete the folder directory/ and run `exchange-agency directory sync`",
        ) from error
