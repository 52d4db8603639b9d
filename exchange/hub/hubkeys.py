"""The hub's own keys: what signs access tokens, the audit log's checkpoints and the key directory's.

They lie in three key files under the data folder, sealed with the hub's passphrase. None of them can open a
record. The states of a token key, by its place among the others and its not-before date:
  next     without a date: already published, so that every worker and client knows it before it signs
  current  the newest whose date has come: the only one that signs
  retired  older: it signs nothing, and stays published until the tokens it signed have expired
`rotate_token_key` moves every key one state on; workers then restart one by one and no valid token breaks.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from exchange.hub.settings import Settings
from exchange_keys.jose import AuthKey
from exchange_keys.keyfile import Cost, read_keyfile, write_keyfile
from exchange_keys.passphrase import read_passphrase
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, decode, encode, format_time, parse_time
from exchange_schemas.errors import Conflict, KeyFileCorrupt, Malformed

TOKEN_ALG: Final = "ES256"
RETIRED_FOR: Final = timedelta(hours=1)
"""How long after its successor's date a retired key stays published; tokens live 300 s at most."""
_SCHEDULE: Final = "schedule"
_LIMIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One token key and when it begins to sign; None: it is the next one."""

    key: AuthKey
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class HubKeys:
    """The hub's keys, unlocked. `token` is in the order of their making, the next one last."""

    token: tuple[TokenKey, ...]
    audit_log: SigningKey
    directory_log: SigningKey

    def token_key(self, now: datetime) -> AuthKey:
        """The key that signs tokens now. Raises: Conflict when no key's date has come."""
        for item in reversed(self.token):
            if item.not_before is not None and item.not_before <= now:
                return item.key
        raise Conflict("no token key is valid yet: the clock is before the first key's date")

    def published(self) -> tuple[AuthKey, ...]:
        """Every key that a token may bear or soon will: the JWK set, and what tokens are checked with."""
        return tuple(item.key for item in self.token)
