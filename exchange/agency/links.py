"""What ties a local record to one partner: the reference the partner knows the child by, and the thread.

Both are random, another for every partner, so that two partners cannot tell that they know the same child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exchange.agency.model import Record
from exchange.member.store import Store
from exchange_schemas.catalogue import Catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import AgencyId, ThreadId, new_id

_COLLECTION = "link"
_THREAD = "thread"


class Links:
    """References and threads by (record, partner)."""

    def __init__(self, store: Store, random: Callable[[int], bytes]) -> None:
        """`random(n)` gives n random bytes."""
        self._store = store
        self._random = random

    def child_ref(self, record: str, partner: AgencyId) -> str:
        """The reference by which `partner` knows this child; made when it is first needed."""
        return str(self._link(record, partner)["child_ref"])

    def thread(self, record: str, partner: AgencyId) -> ThreadId:
        """The thread with `partner` about this child; made when it is first needed."""
        return ThreadId(str(self._link(record, partner)["thread"]))

    def join(self, record: str, partner: AgencyId, thread: ThreadId) -> None:
        """From now on this child's thread with `partner` is `thread` (the partner began it)."""
        with self._store.writing():
            link = {**self._link(record, partner), "thread": thread}
            self._put(record, partner, link)

    def record_of(self, thread: ThreadId) -> str | None:
        """The local record that a thread is about, or None."""
        found = self._store.found(_COLLECTION, _THREAD, thread)
        return str(found[0][1]["record"]) if found else None

    def _link(self, record: str, partner: AgencyId) -> dict[str, JsonValue]:
        with self._store.writing():
            found = self._store.get(_COLLECTION, f"{record}/{partner}")
            if found is None:
                found = {"record": record, "child_ref": new_id(self._random), "thread": new_id(self._random)}
                self._put(record, partner, found)
            return found

    def _put(self, record: str, partner: AgencyId, link: dict[str, JsonValue]) -> None:
        lookups = [(_THREAD, str(link["thread"]))]
        self._store.put(_COLLECTION, f"{record}/{partner}", link, lookups=lookups)


def forget(store: Store, record: str, partners: Iterable[AgencyId]) -> None:
    """Forget by which references partners know a record that is deleted."""
    for partner in partners:
        store.delete(_COLLECTION, f"{record}/{partner}")


def own_values(
    links: Links, names: Sequence[str], to: AgencyId, record: Record, catalogue: Catalogue
) -> dict[str, JsonValue]:
    """The values of those fields that every recipient gets in its own words: references."""
    own: dict[str, JsonValue] = {}
    for name in names:
        if not catalogue.field(name).per_recipient:
            continue
        if name == "child_ref":
            own[name] = links.child_ref(record.ref, to)
        else:
            own[name] = _kin_for(links, to, record.fields.get(name))
    return own


def _kin_for(links: Links, to: AgencyId, kin: JsonValue) -> JsonValue:
    """Kin by the references that this recipient knows; a local reference never leaves."""
    if not isinstance(kin, list):
        raise Malformed("kin_refs: a list of references and relations is needed", field="kin_refs")
    translated: list[JsonValue] = []
    for one in kin:
        if isinstance(one, dict):
            translated.append({**one, "child_ref": links.child_ref(str(one.get("child_ref")), to)})
    return translated
