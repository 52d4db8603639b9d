"""Couriers: an agency with network that carries the requests of an office without, on its authority.

The authority is the cover of the office's bundle, signed by its envelope key: for this courier, until this
time. The courier acts with its own token and proof; what it carries is judged as the office's own, and each
object in it is signed by the office, so that a courier can carry, leave out, and invent nothing. The entry
names both: the courier acted, for the office. The rules, each with a permanent tag:
  courier-cover    the cover is one of an office's bundle on its way out
  courier-other    it is for the agency that calls
  courier-time     its time
Besides, the office takes part, and its key may sign something new.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from exchange.hub.db import reading, storage_errors
from exchange.hub.services.directory import agency_of, key_of
from exchange_keys.jws import Signed, verify
from exchange_schemas.bundle import OUT, Cover
from exchange_schemas.codec import unb64u
from exchange_schemas.errors import Forbidden
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.release import Caller

COVER_BYTES: Final = 4096
"""The longest cover that is read."""


def carrying(hub: Hub, caller: Caller, header: str) -> Caller:
    """The office that the caller carries for, as the caller of this request.

    Raises: Forbidden; Malformed, OriginMismatch, SigInvalid and key errors for a cover that proves nothing.
    """
    signed = Signed.from_bytes(unb64u(header, field="courier", limit=COVER_BYTES), Cover.LIMIT)
    cover, now = Cover.from_bytes(signed.payload), hub.clock()
    if cover.way != OUT or cover.iss == caller.agency:
        raise Forbidden("courier: not the cover of an office's bundle", rule="courier-cover")
    if cover.to != caller.agency:
        raise Forbidden("courier: the office has trusted another courier", rule="courier-other")
    if not cover.iat - LIMITS.clock_leeway <= now < cover.exp:
        raise Forbidden("courier: the office's bundle is past its time", rule="courier-time")
    with storage_errors(), reading(hub.engine) as conn:
        verify(
            signed,
            Cover.typ,
            origin=hub.settings.origin,
            key_for=lambda kid: key_of(conn, kid, use="envelope", agency=cover.iss, now=now),
        )
        kind = agency_of(conn, cover.iss).kind
    return replace(caller, agency=cover.iss, kind=kind, carrier=caller.agency)
