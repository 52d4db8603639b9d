"""A history that was lost comes back: its owner asks every sender, and each sender's people answer.

An agency that lost its store, or the keys that messages were sealed to, still sees at the hub what it was
sent. What a key that it holds can open is fetched again; for the rest it asks, naming envelopes and nothing
else. The sender grants again from its own grant what the consent still allows, and only when a person says
so: whoever holds a stolen key of the asker could ask as well. Nothing is granted to anybody who was not sent
it before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from exchange.agency import deletion_rows, message_rows, sent_rows
from exchange.agency.model import InboxItem, Message, Sent
from exchange.agency.receiving import Receiver
from exchange.agency.regranting import Regranter
from exchange.member.session import Session
from exchange_schemas.codec import JsonValue, format_time, parse_time
from exchange_schemas.errors import ExchangeError, HubUnreachable, NotPermitted, RecordUnknown
from exchange_schemas.ids import AgencyId, EnvelopeId, GrantId

REQUEST = "regrant_request"
AT_ONCE = 100
OPEN, ANSWERED, DECLINED = "open", "answered", "declined"
_ASKED = "history_asked"
_ANSWERS = "history_answer"
_DEAD = "dead"
_REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Lost:
    """One envelope that was sent to this agency and is not here. `asked`: when its sender was last asked."""

    eid: EnvelopeId
    sender: AgencyId
    kind: str
    issued: datetime
    asked: datetime | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore` did: opened again here, and requests to senders for the rest."""

    opened: int
    asked: tuple[Sent, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of another agency, with what became of it. `left` are sentences on what was not granted."""

    gid: GrantId
    agency: AgencyId
    envelopes: tuple[EnvelopeId, ...]
    since: datetime
    state: str
    granted: int = 0
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """Both sides of it, for one session."""

    session: Session
    receiver: Callable[[], Receiver]
    regranter: Callable[[], Regranter]
    send: Callable[..., Sent]

    # -- what this agency has lost -----------------------------------------------------------------------

    def lost(self) -> list[Lost]:
        """Every envelope that the hub shows and that is not here, oldest first. Raises: HubUnreachable."""
        return [self._lost(item) for item in self._missing().values()]

    def restore(self, *, again: bool = False) -> Restored:
        """Open again what this agency's keys open; ask the senders of the rest, once for each envelope.

        `again` asks anew for what was asked for before. Raises: HubUnreachable; what was done stays done.
        """
        opened, left = 0, list[str]()
        for item in list(self._missing().values()):
            if item.kid not in self.session.keys.kids() or item.state == _DEAD:
                continue
            try:
                self.receiver().open(item.gid)
                opened += 1
            except HubUnreachable:
                raise
            except ExchangeError as error:
                left.append(f"message {item.seq} from {item.sender} does not open ({error.code})")
        rest = [one for one in self.lost() if again or one.asked is None]
        return Restored(opened, tuple(self._ask(rest)), tuple(left))

    def _ask(self, rest: list[Lost]) -> Iterator[Sent]:
        for sender, group in groupby(sorted(rest, key=lambda one: one.sender), lambda one: one.sender):
            wanted = [one.eid for one in group]
            for start in range(0, len(wanted), AT_ONCE):
                some: list[JsonValue] = list(wanted[start : start + AT_ONCE])
                yield self.send(REQUEST, to=[sender], content={"lost_envelopes": some})
                now = format_time(self.session.now().replace(microsecond=0))
                with self.session.store.writing():
                    for eid in some:
                        self.session.store.put(_ASKED, str(eid), {"since": now})

    def _missing(self) -> dict[EnvelopeId, InboxItem]:
        """The newest grant of each envelope that carries something and is not here.

        Left out: what was deleted at its sender's request, what was refused, what can be opened any time, and
        what ended otherwise than by its own time.
        """
        store, now = self.session.store, self.session.now()
        found: dict[EnvelopeId, InboxItem] = {}
        for item in self.receiver().inbox():
            found.pop(item.eid, None)
            if message_rows.found(store, "eid", item.eid) or deletion_rows.was_deleted(store, item.gid):
                continue
            if item.state == _REFUSED or item.kind == REQUEST:
                continue
            new = item.state == "waiting" and item.kid in self.session.keys.kids()
            ended = item.state == _DEAD and item.expires > now
            if not new and not ended:
                found[item.eid] = item
        return found

    def _lost(self, item: InboxItem) -> Lost:
        asked = self.session.store.get(_ASKED, item.eid)
        since = None if asked is None else parse_time(asked["since"], field="since")
        return Lost(item.eid, item.sender, item.kind, item.issued, since)

    # -- what others ask of this agency ------------------------------------------------------------------

    def requests(self, *, open_only: bool = False) -> Iterator[Asked]:
        """Opened requests of others, oldest first."""
        every = (self._asked(one) for one in message_rows.found(self.session.store, "kind", REQUEST))
        return (one for one in every if not open_only or one.state == OPEN)

    def answer(self, gid: str) -> Asked:
        """Grant again to the asker what it was sent and the consents still allow; may be repeated.

        Raises: RecordUnknown, NotPermitted (declined before), HubUnreachable.
        """
        asked = self._request(gid)
        if asked.state == DECLINED:
            raise NotPermitted("this request was declined", rule="history-declined")
        regranter, granted, left = self.regranter(), 0, list[str]()
        for eid in asked.envelopes:
            try:
                granted += self._once_more(regranter, eid, asked.agency)
            except HubUnreachable:
                raise
            except ExchangeError as error:
                left.append(f"envelope {eid} is not granted again ({error.code})")
        return self._keep(asked, ANSWERED, asked.granted + granted, left)

    def decline(self, gid: str) -> Asked:
        """Grant nothing, and tell the asker so. Raises: RecordUnknown, NotPermitted, HubUnreachable."""
        asked = self._request(gid)
        if asked.state == ANSWERED:
            raise NotPermitted("this request was answered already", rule="history-answered")
        if asked.state == OPEN:
            self.send("declined", to=[asked.agency], in_reply_to=asked.gid)
        return self._keep(asked, DECLINED, 0, [])

    def due(self) -> list[str]:
        """Sentences on requests that wait for somebody."""
        return [
            f"{one.agency} lost {len(one.envelopes)} messages of this agency and asks for them since "
            f"{one.since:%Y-%m-%d}: speak to them, then `exchange-agency history answer {one.gid}`"
            for one in self.requests(open_only=True)
        ]

    def _once_more(self, regranter: Regranter, eid: EnvelopeId, agency: AgencyId) -> bool:
        rows = [row for row in sent_rows.found(self.session.store, "eid", eid) if row.recipient == agency]
        if not rows:
            raise RecordUnknown("nothing of this envelope was sent to that agency", field="lost_envelopes")
        return regranter.once_more(max(rows, key=lambda row: row.seq))

    def _request(self, gid: str) -> Asked:
        found = message_rows.get(self.session.store, gid)
        if found is None or found.kind != REQUEST:
            raise RecordUnknown(
                "no opened request to be given again has this id",
                field="gid",
                hint="see `exchange-agency history requests`; open the request first",
            )
        return self._asked(found)

    def _keep(self, asked: Asked, state: str, granted: int, left: list[str]) -> Asked:
        value: dict[str, JsonValue] = {"state": state, "granted": granted, "left": list(left)}
        self.session.store.put(_ANSWERS, asked.gid, value)
        return self._request(asked.gid)

    def _asked(self, message: Message) -> Asked:
        named = message.content["lost_envelopes"]
        envelopes = tuple(EnvelopeId(str(eid)) for eid in named) if isinstance(named, list) else ()
        kept = self.session.store.get(_ANSWERS, message.gid)
        if kept is None:
            return Asked(message.gid, message.sender, envelopes, message.issued, OPEN)
        left = kept["left"] if isinstance(kept["left"], list) else []
        return Asked(
            message.gid,
            message.sender,
            envelopes,
            message.issued,
            str(kept["state"]),
            int(str(kept["granted"])),
            tuple(str(one) for one in left),
        )
