"""How far this machine's clock is from the hub's, measured from the Date header of its answers.

A wrong clock makes every signature and token look expired or not yet valid; the person must read the
number of seconds, not "unauthorized". Source: RFC 9110 section 6.6.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from exchange_schemas.errors import ClockSkew
from exchange_schemas.limits import LIMITS

TOLERATED_SECONDS = int(LIMITS.clock_leeway.total_seconds())
SUSPECT_SECONDS = 20


def measured_skew(headers: Mapping[str, str], now: datetime) -> int | None:
    """Seconds that this machine is ahead of the hub (negative: behind); None without a usable header."""
    text = headers.get("Date")
    if text is None:
        return None
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return round((now - then).total_seconds())


def check_skew(headers: Mapping[str, str], now: datetime, *, limit: int = TOLERATED_SECONDS) -> None:
    """Raises: ClockSkew with the measured seconds when they exceed `limit`."""
    seconds = measured_skew(headers, now)
    if seconds is None or abs(seconds) <= limit:
        return
    side = "ahead of" if seconds > 0 else "behind"
    raise ClockSkew(
        f"this machine's clock is {abs(seconds)} seconds {side} the hub's",
        hint="set the clock (date, time and time zone) of this machine, then try again",
        detail={"seconds": seconds},
    )
