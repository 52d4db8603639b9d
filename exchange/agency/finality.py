"""Which refusals are for good, and after which the same bytes may be sent again.

Pure. When in doubt a thing is kept: a lost message is worse than one tried twice.
"""

from __future__ import annotations

from exchange_schemas.errors import (
    ExchangeError,
    HubRefused,
    LocalError,
    LogError,
    RateLimited,
    ServiceError,
    Unauthorized,
)

_MAY_PASS = (ServiceError, RateLimited, Unauthorized, LogError, LocalError)


def may_pass(error: ExchangeError) -> bool:
    """Whether the same request may be taken later: no connection, a busy hub, a wrong clock, a lost right."""
    if isinstance(error, HubRefused) and error.problem:
        return False
    return isinstance(error, _MAY_PASS)
