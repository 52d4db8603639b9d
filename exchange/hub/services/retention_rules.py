"""How long the hub keeps what it can never read: which sealed keys and ciphertexts must go. Pure.

A grant goes from kept to over, and never back, by the first of these:
  R1-ended      its own time has passed, or that of the consent it rests on
  R2-withdrawn  the family of its consent is withdrawn
  R3-delivered  its recipient has answered with a receipt, and the keeping period since its deposit is over
The sender's grant for itself serves to grant again. It is over by R1, or when no other grant of its envelope
is kept. An envelope is over when all its grants are.

What goes: the sealed keys of a grant that is over, or whose key was revoked (R4-key: it may be in wrong
hands, and nobody is given it any more); the ciphertexts of an envelope that is over. The sealed keys at the
head of a chain stay until the next grant: the sender proves its place with them, and without the ciphertexts
they open nothing. Cores, manifests, consents and withdrawals stay: they are the proof of what was allowed and
say nothing of a person.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.ids import AgencyId, Digest, GrantId

LABEL = b"hx1/destroyed"


@dataclass(frozen=True, slots=True)
class KeptGrant:
    """A grant as a decision on its keeping needs it. `dies`: the earlier of its own end and its consent's.

    `sealed`: its keys are still here. `head`: it is the newest of its chain.
    """

    gid: GrantId
    snd: AgencyId
    rcp: AgencyId
    deposited: datetime
    dies: datetime
    receipted: bool
    withdrawn: bool
    key_revoked: bool
    sealed: bool
    head: bool


def over(grants: Collection[KeptGrant], *, now: datetime, keep: timedelta) -> frozenset[GrantId]:
    """The grants of one envelope that are over; `keep` is the period of R3."""
    ended = {one.gid for one in grants if _ended(one, now=now, keep=keep)}
    if all(one.gid in ended for one in grants if one.snd != one.rcp):
        ended |= {one.gid for one in grants if one.snd == one.rcp}
    return frozenset(ended)


def to_unseal(grants: Collection[KeptGrant], ended: Collection[GrantId]) -> list[GrantId]:
    """The grants whose sealed keys go."""
    useless = {one.gid for one in grants if one.key_revoked}.union(ended)
    return [one.gid for one in grants if one.sealed and not one.head and one.gid in useless]


def commitment(kind: str, digest: Digest) -> Digest:
    """What a statement of destruction says of one thing: `H(LP("hx1/destroyed") ‖ LP(kind) ‖ LP(digest))`.

    Whoever has the grant or the ciphertext knows its digest and finds it again; nobody else learns anything.
    """
    return Digest(b64u(sha256(lp(LABEL, kind.encode(), digest.encode()))))


def _ended(one: KeptGrant, *, now: datetime, keep: timedelta) -> bool:
    if one.dies <= now or one.withdrawn:
        return True
    return one.receipted and one.snd != one.rcp and one.deposited + keep <= now
