"""Events of the key directory about this agency: which it made itself, and which must raise an alarm.

Somebody who could add a key for this agency could read what is sent to it and write in its name. So every
event about it is either known here, or a person must hear of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from exchange.directory.snapshot import Page
from exchange.member.profile import Profile
from exchange.member.store import Store
from exchange_keys.jws import Signed
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.event import AdmitEvent, Event, ResumeEvent
from exchange_schemas.ids import Digest

_COLLECTION = "own_event"
_ROOT = "own_root"
_OTHER_ADMISSION = (
    "this agency was admitted with another root or description than its own: tell the operator at once"
)


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
        """One sentence for each event about this agency in a page that it did not make."""
        signed = {item.index: item.signed for item in page.events}
        found = (self._alarm(signed[index], event) for index, event in own)
        return [text for text in found if text is not None]

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


def _digest(signed: Signed) -> str:
    return b64u(sha256(signed.payload))
