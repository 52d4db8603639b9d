"""The hub's public address, asked as a member program asks it: is the certificate trusted, is it this hub."""

from __future__ import annotations

from typing import Final

from exchange.hub.services.deployment import deployment
from exchange.hub.services.hub import Hub
from exchange.net.wire import Call, Patience, Wire
from exchange.words import marked
from exchange_schemas.codec import decode
from exchange_schemas.errors import Conflict, HubRefused, HubUnreachable, Malformed
from exchange_schemas.limits import LIMITS

_PATIENCE: Final = Patience(connect=5, read=10)
_HINT: Final = marked(
    "members trust public authorities alone: see the certificate's chain, names and end, and the proxy"
)


def check_public(hub: Hub) -> None:
    """Prove that members reach this very hub at its base URL, over TLS that they trust.

    Raises: HubUnreachable (also for a certificate that does not verify), HubRefused, Conflict.
    """
    base_url = hub.settings.base_url
    wire = Wire(patience=_PATIENCE)
    try:
        call = Call("GET", f"{base_url}/v1/deployment", headers=dict, repeatable=False)
        answer = wire.send(call)
    except HubUnreachable as error:
        raise HubUnreachable(f"{base_url}: {error.message}", hint=_HINT) from error
    except HubRefused as error:
        raise HubRefused(f"{base_url}: {error.message}", hint="answer at the base URL itself") from error
    finally:
        wire.close()
    if answer.status != 200:
        raise HubRefused(f"{base_url} answers {answer.status}", hint="is the hub served, and by this proxy?")
    if not _is(hub, answer.body):
        raise Conflict(
            f"{base_url} leads to another hub, or to one with other keys",
            hint="compare HOMEWARD_BASE_URL, where its name leads, and where the proxy passes it on",
        )


def _is(hub: Hub, body: bytes) -> bool:
    try:
        return decode(body, limit=LIMITS.request_body_bytes) == deployment(hub)
    except Malformed:
        return False
