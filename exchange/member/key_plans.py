"""The plan of one change of a key, as it lies in the store from before the first step to after the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange.member.rotation import ROTATED
from exchange_keys.jws import Signed
from exchange_keys.public import ML_DSA_65, PublicKey
from exchange_schemas.codec import JsonValue, b64u, format_time, parse_time, unb64u
from exchange_schemas.errors import StoreCorrupt
from exchange_schemas.ids import Kid, check_kid
from exchange_schemas.limits import LIMITS


@dataclass(frozen=True, slots=True)
class Change:
    """One planned change.

    `also` is the ML-DSA-65 half of a new root, `user` whose approver key it is. `asked` are the payloads that
    a root is to sign, `events` the same signed: the new key's first, then those that end the old keys.
    """

    use: str
    reason: str
    new: PublicKey
    old: tuple[Kid, ...]
    begun: datetime
    also: PublicKey | None = None
    user: str | None = None
    asked: tuple[bytes, ...] = ()
    events: tuple[Signed, ...] = ()
    emptied: bool = False
    finished: bool = False

    @property
    def kid(self) -> Kid:
        """The new key's id, which names the change."""
        return self.new.kid

    def overtaken_by(self, reason: str) -> bool:
        """Whether it was begun in calm, and something was stolen since."""
        return reason != ROTATED and self.reason == ROTATED


def write_plan(change: Change) -> dict[str, JsonValue]:
    """As the store keeps it."""
    return {
        "use": change.use,
        "reason": change.reason,
        "alg": change.new.alg,
        "new": b64u(change.new.raw),
        "old": [str(kid) for kid in change.old],
        "begun": format_time(change.begun),
        "also": None if change.also is None else b64u(change.also.raw),
        "user": change.user,
        "asked": [b64u(payload) for payload in change.asked],
        "events": [event.to_json() for event in change.events],
        "emptied": change.emptied,
        "finished": change.finished,
    }


def read_plan(value: Mapping[str, JsonValue]) -> Change:
    """What `write_plan` wrote. Raises: StoreCorrupt."""
    try:
        old, events, asked = value["old"], value["events"], value["asked"]
        if not isinstance(old, list) or not isinstance(events, list) or not isinstance(asked, list):
            raise TypeError
        user, also = value["user"], value["also"]
        return Change(
            use=str(value["use"]),
            reason=str(value["reason"]),
            new=PublicKey(str(value["alg"]), unb64u(value["new"], field="new")),
            old=tuple(check_kid(kid, field="old") for kid in old),
            begun=parse_time(value["begun"], field="begun"),
            also=None if also is None else PublicKey(ML_DSA_65, unb64u(also, field="also")),
            user=None if user is None else str(user),
            asked=tuple(unb64u(payload, field="asked") for payload in asked),
            events=tuple(Signed.from_json(event, LIMITS.event_bytes) for event in events),
            emptied=value["emptied"] is True,
            finished=value["finished"] is True,
        )
    except (KeyError, TypeError) as error:
        raise StoreCorrupt("a change of a key in the local store cannot be read") from error
