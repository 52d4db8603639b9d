"""The directory as a whole: events applied one after another, in memory, by the rules. Pure.

A client replays the log from its first event; the hub checks one event at a time with `rules.change_of`
over the rows it needs. Both end in the same state. Nothing here may skip a rule for an event that is
already in a log.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from exchange.directory.rules import Change, Scene, change_by, subject_of
from exchange.directory.state import DirectoryState
from exchange.log.tree import leaf_hash
from exchange_keys.jws import Signed
from exchange_schemas.event import read_event
from exchange_schemas.ids import Kid


def leaf_data(signed: Signed) -> bytes:
    """The leaf of an event in the directory's log: its JWS as strict JSON bytes, signatures included."""
    return signed.to_bytes()


class Replay:
    """A working copy that grows in place; after an error it is worth nothing and the first state still is."""

    def __init__(self, state: DirectoryState) -> None:
        self._origin = state.origin
        self._pin = state.pin
        self._governance = state.governance
        self._agreements = state.agreements
        self._agencies = dict(state.agencies)
        self._owners = dict(state.owners)
        self.frontier = state.frontier

    def apply(self, signed: Signed, key_bytes: Mapping[Kid, bytes], *, now: datetime | None = None) -> Change:
        """Apply one event. Raises: as `rules.change_of`."""
        event = read_event(signed.payload)
        subject = subject_of(event)
        scene = Scene(
            origin=self._origin,
            pin=self._pin,
            governance=self._governance,
            agency=None if subject is None else self._agencies.get(subject),
            kid_taken=self._owners.__contains__,
            now=now,
            agreements=self._agreements,
        )
        change = change_by(event, signed, key_bytes, scene)
        if change.governance is not None:
            self._governance = change.governance
        if change.agreements is not None:
            self._agreements = change.agreements
        if change.agency is not None:
            self._agencies[change.agency.agency] = change.agency
        for key in change.added:
            self._owners[key.kid] = key.agency
        self.frontier = self.frontier.append(leaf_hash(leaf_data(signed)))
        return change

    def state(self) -> DirectoryState:
        """What the events add up to so far."""
        return DirectoryState(
            self._origin,
            self._pin,
            self._governance,
            MappingProxyType(dict(self._agencies)),
            MappingProxyType(dict(self._owners)),
            self.frontier,
            self._agreements,
        )
