"""Emptying an old enc key: what waits for it is opened and kept, and what of our own rests on it is renewed.

Dead grants need nothing: nobody can open them any more. One that fails otherwise is left, by its number and
code, for a person to decide; its sender grants it again by itself once the old key is revoked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exchange.agency.model import UNOPENED, InboxItem
from exchange.agency.receiving import Receiver
from exchange.agency.regranting import Regranter
from exchange_schemas.errors import (
    ConsentExpired,
    ConsentSuperseded,
    ConsentWithdrawn,
    ExchangeError,
    GrantExpired,
    HubUnreachable,
)
from exchange_schemas.ids import Kid

_DEAD = (ConsentExpired, ConsentSuperseded, ConsentWithdrawn, GrantExpired)
OnStep = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be opened: the grant and the code of why."""

    gid: str
    sender: str
    code: str


@dataclass(frozen=True, slots=True)
class Emptied:
    """How many were opened, how many grants of our own were renewed, what is left."""

    opened: int
    renewed: int
    left: tuple[Left, ...]
    failed: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing rests on the old keys any more."""
        return not self.left and not self.failed


def empty(receiver: Receiver, regranter: Regranter, kids: Iterable[Kid], on_step: OnStep) -> Emptied:
    """Open what waits for these keys and renew our own grants; `on_step(done, total)` hears of each.

    Raises: HubUnreachable; what was done stays done.
    """
    old = frozenset(kids)
    waiting = [item for item in receiver.inbox() if item.kid in old and item.state in UNOPENED]
    left = []
    for done, item in enumerate(waiting):
        on_step(done, len(waiting))
        code = _open(receiver, item)
        if code is not None:
            left.append(Left(item.gid, item.sender, code))
    on_step(len(waiting), len(waiting))
    renewed = regranter.renew_own(old)
    return Emptied(len(waiting) - len(left), renewed.granted, tuple(left), renewed.failed)


def _open(receiver: Receiver, item: InboxItem) -> str | None:
    try:
        receiver.open(item.gid)
    except _DEAD:
        return None
    except HubUnreachable:
        raise
    except ExchangeError as error:
        return error.code
    return None
