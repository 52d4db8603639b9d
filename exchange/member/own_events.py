"""Events of the key directory about this agency: which it made itself, and which must raise an alarm.

Somebody who could add a key for this agency could read what is sent to it and write in its name. So every
event about it is either known here, or a person must hear of it: its alarm is stored before the event is, and
stands until an approver has acknowledged it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.directory.snapshot import Page
from exchange.member.profile import Profile
from exchange.member.store import Store
from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue, b64u, format_time, parse_time, sha256
from exchange_schemas.errors import RecordUnknown
from exchange_schemas.event import AdmitEvent, Event, ResumeEvent
from exchange_schemas.ids import Digest

_COLLECTION = "own_event"
_ROOT = "own_root"
_ALARMS = "own_alarm"
_OTHER_ADMISSION = (
    "this agency was admitted with another root or description than its own: tell the operator at once"
)


@dataclass(frozen=True, slots=True)
class OwnAlarm:
    """An event about this agency that it did not make: its place in the log, what it is, what to do."""

    index: int
    event: str
    signed_at: datetime
    text: str


class OwnEvents:
    """What this agency signed for the directory, by digest, and the root it enrolled with."""

    def __init__(self, store: Store, profile: Profile) -> None:
        """Use `DirectoryCopy.own`."""
        self._store = store
        self._profile = profile

    def note(self, event: Signed) -> None:
        """Remember an event that this agency has signed."""
        self._store.put(_COLLECTION, _digest(event), {})

    def note_root(self, root: Digest) -> None:
        """Remember the digest of the root that this agency enrols with."""
        self._store.put(_ROOT, "root", {"digest": root})

    def alarms(self, page: Page, own: Sequence[tuple[int, Event]]) -> list[str]:
        """One sentence for each event about this agency in a page that it did not make; each is stored."""
        signed = {item.index: item.signed for item in page.events}
        found = []
        with self._store.writing():
            for index, event in own:
                text = self._alarm(signed[index], event)
                if text is not None and not self._was_acknowledged(index, signed[index]):
                    row = {
                        "event": event.event,
                        "signed_at": format_time(event.iat),
                        "text": text,
                        "digest": _digest(signed[index]),
                    }
                    self._store.put(_ALARMS, str(index), row)
                    found.append(text)
        return found

    def unread(self) -> list[OwnAlarm]:
        """The alarms that nobody has acknowledged, by their place in the log."""
        rows = ((index, row) for index, row in self._store.each(_ALARMS) if row.get("by") is None)
        return sorted((_own_alarm(index, row) for index, row in rows), key=lambda one: one.index)

    def acknowledge(self, index: int, *, by: str) -> None:
        """A person has looked at the event. Raises: RecordUnknown when there is no such alarm."""
        with self._store.writing():
            row = self._store.get(_ALARMS, str(index))
            if row is None:
                raise RecordUnknown("there is no alarm of this number", field="index")
            self._store.put(_ALARMS, str(index), {**row, "by": by})

    def _was_acknowledged(self, index: int, signed: Signed) -> bool:
        """Whether somebody has looked at this very event: the copy may be fetched anew from its beginning."""
        row = self._store.get(_ALARMS, str(index))
        return row is not None and row.get("by") is not None and row.get("digest") == _digest(signed)

    def _alarm(self, signed: Signed, event: Event) -> str | None:
        if self._store.get(_COLLECTION, _digest(signed)) is not None or isinstance(event, ResumeEvent):
            return None
        if isinstance(event, AdmitEvent):
            return None if self._is_us(event) else _OTHER_ADMISSION
        if event.event in ("suspend", "expel"):
            return f"the operators have logged '{event.event}' for this agency"
        return (
            f"the key directory has an event '{event.event}' of this agency that was not made here: "
            "if no other host of yours made it, somebody holds your keys; tell the operator at once"
        )

    def _is_us(self, event: AdmitEvent) -> bool:
        profile, root = self._profile, self._store.get(_ROOT, "root")
        said = (event.name, event.kind, event.country, event.public_authority, event.contact)
        ours = (profile.name, profile.kind, profile.country, profile.public_authority, profile.contact)
        return root is not None and root["digest"] == event.root and said == ours


def _own_alarm(index: str, row: Mapping[str, JsonValue]) -> OwnAlarm:
    signed_at = parse_time(row["signed_at"], field="signed_at")
    return OwnAlarm(int(index), str(row["event"]), signed_at, str(row["text"]))


def _digest(signed: Signed) -> str:
    return b64u(sha256(signed.payload))
