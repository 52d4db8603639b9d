"""Steps (6) and (7) of a deposit: whether keys are active, and whether each recipient may have its fields.

The directory and the consents are read, each in a fixed number of statements whatever the number of grants;
the rules are those of `exchange.directory` and `exchange.consent`. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from exchange.consent import (
    ConsentStanding,
    Policy,
    ShareRequest,
    check_one_recipient,
    check_role,
    decide,
    enforce,
)
from exchange.hub.models.envelopes import grant
from exchange.hub.services.deposit_checks import Draft, check_per_recipient
from exchange.hub.services.directory_read import asking_root, root_in
from exchange.hub.services.parties import asking_parties, parties_in, party_of, policy_of
from exchange.hub.services.standings import Held, confirmations_of, held_in, holding
from exchange.hub.sql import Call, Statement
from exchange_schemas.catalogue import Catalogue
from exchange_schemas.codec import unb64u
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import LogFork, TooLarge
from exchange_schemas.ids import AgencyId, Digest, Kid
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.directory.state import DirectoryState
    from exchange.hub.services.unit import Unit
    from exchange_keys.public import PublicKey

_NO_CONSENT: Final = ConsentStanding()
_EARLIER: Final = Statement(
    select(grant.c.core).where(
        grant.c.snd == bindparam("me"), grant.c.eid == bindparam("eid"), grant.c.rcp != bindparam("me")
    )
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the directory says of a deposit: parties, keys, the manifest's signers, the sharing agreements."""

    directory: DirectoryState
    signers: Mapping[Kid, PublicKey]
    policy: Policy


@dataclass(frozen=True, slots=True)
class Authority:
    """The rows that steps (6) and (7) rest on: parties with keys, a root of the directory, families."""

    parties: list[Any]
    root: list[Any]
    families: list[Any]


def asking(draft: Draft) -> tuple[Call, Call, Call]:
    """What gives an `Authority`, in its order; it locks the consents' families."""
    snd = draft.manifest.snd
    agencies = {snd, *(item.core.rcp for item in draft.grants)}
    return (
        asking_parties(agencies, _kids(draft)),
        # A manifest that is known already may come again without its grants.
        asking_root(draft.grants[0].core.dir.size if draft.grants else 0),
        holding(snd, _named(draft)),
    )


def check_keys(unit: Unit, draft: Draft, authority: Authority) -> Known:
    """(6) Every recipient takes part, every key is active and for its use, the directory is one we had.

    Raises: RecipientDenied, KidUnknown, KeyWrongUse, KeyRevoked, KeyNotActive, LogFork.
    """
    snd = draft.manifest.snd
    directory = parties_in(unit.conn, unit.hub.settings.origin, authority.parties, _kids(draft))
    for item in draft.grants:
        party_of(directory, item.core.rcp)
        directory.require_key(item.core.rcp_kid, "enc", unit.now, item.core.rcp)
    signers = {
        item.kid: directory.require_key(item.kid, "envelope", unit.now, snd).public
        for item in draft.signed.signatures
    }
    _check_position(draft, authority.root)
    return Known(directory, signers, policy_of(unit.conn, authority.parties))


def check_consents(
    unit: Unit, draft: Draft, known: Known, authority: Authority, *, first: bool, catalogue: Catalogue
) -> dict[AgencyId, Held]:
    """(7) Decide each grant; gives the consents that grants rest on, by recipient.

    Raises: what `exchange.consent` refuses with, the tag of the rule in `rule`.
    """
    snd = draft.manifest.snd
    consents = held_in(unit.conn, snd, _named(draft), authority.families)
    confirmed = confirmations_of(unit.conn, snd, (one for item in consents.values() for one in item.judged()))
    sender = party_of(known.directory, snd)
    held: dict[AgencyId, Held] = {}
    for item in draft.grants:
        core = item.core
        found = None if core.cns is None else consents.get(core.cns)
        decision = decide(
            ShareRequest.of(core),
            None if found is None else found.consent,
            _NO_CONSENT if found is None else found.standing,
            party_of(known.directory, core.rcp),
            unit.now,
            catalogue,
            sender=sender,
            confirmations=confirmed.get(core.rcp, {}),
            policy=known.policy,
        )
        enforce(decision)
        if core.rcp != snd:
            check_role(core.kind, snd, None if found is None else found.consent, catalogue=catalogue)
        rests = catalogue.kinds[core.kind].authority == "consent" and core.rcp != snd
        if rests and found is not None:
            held[core.rcp] = found
    _check_single(unit, draft, first=first, catalogue=catalogue)
    return held


def _kids(draft: Draft) -> set[Kid]:
    signing = [item.kid for item in draft.signed.signatures]
    return {*signing, *(item.core.rcp_kid for item in draft.grants)}


def _named(draft: Draft) -> set[Digest]:
    return {item.core.cns for item in draft.shared() if item.core.cns is not None}


def _check_position(draft: Draft, root: list[Any]) -> None:
    position = draft.grants[0].core.dir
    if root_in(root, position.size) != unb64u(position.root, field="dir.root"):
        raise LogFork("dir: not a position that the key directory ever had", field="dir")


def _check_single(unit: Unit, draft: Draft, *, first: bool, catalogue: Catalogue) -> None:
    """What is for one recipient goes to one recipient, counting what was granted before.

    A field for one recipient may be granted to the same one again, after a rotation. A field that is sealed
    for each recipient is sealed anew for every grant: one ciphertext in two of them would link them.
    """
    names: dict[AgencyId, set[str]] = {}
    for item in draft.shared():
        names.setdefault(item.core.rcp, set()).update(item.fields)
    if not first:
        key = {"me": draft.manifest.snd, "eid": draft.manifest.eid}
        earlier = [GrantCore.from_bytes(row.core) for row in _EARLIER.rows(unit.conn, key)]
        for core in earlier:
            names.setdefault(core.rcp, set()).update(ref.f for ref in core.parts)
        check_per_recipient([*earlier, *(item.core for item in draft.shared())], catalogue)
    if len(names) > LIMITS.recipients_per_envelope:
        raise TooLarge(f"grants: at most {LIMITS.recipients_per_envelope} recipients", field="grants")
    check_one_recipient(names.items(), sender=draft.manifest.snd, catalogue=catalogue)
