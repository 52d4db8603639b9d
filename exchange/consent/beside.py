"""The consent rules that `decide` cannot make: they see several grants, the signers, bytes, or a value."""

from collections.abc import Collection, Iterable
from typing import Final

from exchange.consent.refusals import deny, enforce
from exchange_schemas.catalogue import Catalogue
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.consent import Consent
from exchange_schemas.ids import AgencyId, Digest

DETENTION: Final = "with_parent_in_detention"


def check_one_recipient(
    grants: Iterable[tuple[AgencyId, Collection[str]]], *, sender: AgencyId, catalogue: Catalogue
) -> None:
    """C19 over all grants (recipient, names of the parts) of an envelope, earlier manifests included.

    The sender's own grant does not count; a second one to the same recipient, after a rotation, is no
    second recipient. Raises: FieldDenied.
    """
    given_to: dict[str, AgencyId] = {}
    for recipient, names in grants:
        if recipient == sender:
            continue
        for name in sorted(names):
            spec = catalogue.fields.get(name)
            if spec is not None and spec.one_recipient and given_to.setdefault(name, recipient) != recipient:
                enforce(deny("C19-one-recipient", name))


def check_approvers(consent: Consent, holders: Collection[str]) -> None:
    """C21: `holders` are the persons (pseudonyms) whose approver keys signed; vital interest needs two.

    Raises: AuthorityMissing.
    """
    if len(set(holders)) < (2 if consent.vital else 1):
        enforce(deny("C21-approvers"))


def check_named(cns: Digest | None, payload: bytes) -> None:
    """C22: the grant's `cns` is the digest of this consent payload. Raises: ConsentMismatch."""
    if cns != b64u(sha256(payload)):
        enforce(deny("C22-named", "cns"))


def check_detention(care_arrangement: str, *, relation_verified: bool, arranges_release: bool) -> None:
    """C23: that a child is detained is not told before the relation is verified, but to whom can free it.

    Raises: StageDenied.
    """
    if care_arrangement == DETENTION and not (relation_verified or arranges_release):
        enforce(deny("C23-detention", "care_arrangement"))


def check_role(kind: str, sender: AgencyId, consent: Consent | None, *, catalogue: Catalogue) -> None:
    """C24: a kind that comes from one side of a consent points at one, and is sent by that side.

    Who gave a consent asks for a deletion; who received it answers, or asks for a withdrawal.
    Raises: ConsentUnknown, SenderMismatch.
    """
    spec = catalogue.kinds.get(kind)
    if spec is None or spec.sent_by is None:
        return
    if consent is None:
        enforce(deny("C01-unknown", "cns"))
    elif sender != (consent.iss if spec.sent_by == "issuer" else consent.rcp):
        enforce(deny("C24-role", "kind"))
