"""Client authentication: private_key_jwt with the keys of the key directory and with nothing else.

Whoever is not believed gets one answer, whatever was wrong, after the same work: a client that does not
exist costs a look-up and a verification like one that does. A key found here has only been the agency's
lately: `services.tokens` asks again in the transaction that gives the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exchange.hub.db import reading, storage_errors
from exchange.hub.services.directory import auth_key
from exchange_keys.jose import CLIENT_ASSERTION_TYPE, verify_client_assertion
from exchange_keys.public import PublicKey
from exchange_schemas.errors import Unauthorized
from exchange_schemas.ids import AgencyId, Kid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exchange.hub.services.hub import Hub
    from exchange_keys.jose import ClientAssertion

METHOD: Final = "private_key_jwt"
_MOST: Final = 4096


class ClientKeys:
    """Finds `auth` keys by agency and kid; one for each process.

    A kid names its key, so what is kept stays true; whether the key is in force is not kept.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known: dict[tuple[AgencyId, Kid], PublicKey] = {}

    def find(self, agency: AgencyId, kid: Kid) -> PublicKey | None:
        """The key; None when the agency has no such key in force. Raises: AuditUnavailable, Unavailable."""
        found = self._known.get((agency, kid))
        if found is not None:
            return found
        with storage_errors(), reading(self._hub.engine) as conn:
            key = auth_key(conn, agency, kid, self._hub.clock())
        if key is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[agency, kid] = key
        return key


def authenticate_client(hub: Hub, keys: ClientKeys, form: Mapping[str, str]) -> ClientAssertion | None:
    """The client that the form's assertion proves; None when it proves none.

    Raises: AuditUnavailable, Unavailable.
    """
    assertion = form.get("client_assertion")
    named = form.get("client_assertion_type")
    if assertion is None or named != CLIENT_ASSERTION_TYPE or "client_secret" in form:
        return None
    decoy = hub.keys.published()[0].public
    unknown = False

    def key_for(agency: AgencyId, kid: Kid) -> PublicKey | None:
        nonlocal unknown
        found = keys.find(agency, kid)
        if found is None:
            # Verified all the same, in vain, so that the time says nothing about who is a member.
            unknown = True
        return decoy if found is None else found

    try:
        client = verify_client_assertion(
            assertion, audience=hub.settings.base_url, key_for=key_for, now=hub.clock()
        )
    except Unauthorized:
        return None
    named = form.get("client_id")
    if unknown or (named is not None and named != client.client_id):
        return None
    return client
