"""Envelopes: sealing a record's fields to several recipients at once, and granting them again later.

Each shared field is sealed once, under a key of its own, and that key is sealed to every recipient that
may have it; fields that must differ for every recipient are sealed once for each. The sender always gets
a grant too. Whether a recipient may have a field is decided before this is called: a key that was sealed
cannot be taken back.
Source: protocol.md "Envelope".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from exchange_keys.core_writer import CoreWriter
from exchange_keys.envelope_draft import (
    EnvelopeDraft,
    Recipient,
    SealedEnvelope,
    check_recipient,
    check_recipients,
)
from exchange_keys.grants import SealedGrant, UnlockedGrant, grant_digest, open_grant, unlock_grant
from exchange_keys.manifest import sign_manifest
from exchange_keys.sealer import KeyedPart, Sealer
from exchange_keys.sealing import seal_keys
from exchange_keys.secret import Secret
from exchange_keys.signing import SigningKey
from exchange_schemas.catalogue import Catalogue, load_catalogue
from exchange_schemas.errors import FieldDenied, ManifestMismatch, RecipientDenied, SenderMismatch
from exchange_schemas.ids import GrantId, new_id

__all__ = [
    "EnvelopeDraft",
    "Recipient",
    "SealedEnvelope",
    "SealedGrant",
    "UnlockedGrant",
    "grant_digest",
    "open_grant",
    "regrant",
    "seal_envelope",
    "unlock_grant",
]

Random = Callable[[int], bytes]


def seal_envelope(
    draft: EnvelopeDraft,
    recipients: Sequence[Recipient],
    self_recipient: Recipient,
    signer: SigningKey,
    *,
    spool: Path | None = None,
    catalogue: Catalogue | None = None,
    random: Random = os.urandom,
) -> SealedEnvelope:
    """Seal an envelope to its recipients and to the sender itself; the sender's grant comes last.

    `signer` is the sender's `envelope` key, `spool` the folder for sealed attachments. `random` gives ids
    and part keys; HPKE and Cobblestone draw their own. Nothing is sent, and nothing but the spool written.
    Raises: Malformed, FieldDenied (no value, unknown field), RecipientDenied, SenderMismatch, KidUnknown,
    KeyWrongUse, TooLarge, StorageFull, OSError.
    """
    catalogue = load_catalogue() if catalogue is None else catalogue
    check_recipients(recipients)
    if any(recipient.agency == draft.sender for recipient in recipients):
        raise RecipientDenied("rcp: the sender's own grant is added by itself", field="rcp")
    if self_recipient.agency != draft.sender:
        raise SenderMismatch("rcp: the sender's own grant is for another agency", field="rcp")
    check_recipient(self_recipient)
    sealer = Sealer(draft, catalogue, random)
    try:
        shared = {name: sealer.shared(name, spool) for name in _shared_names(recipients, sealer)}
        given = [(recipient, recipient.fields, sealer.own(recipient)) for recipient in recipients]
        own = sealer.own(self_recipient)
        given.append((self_recipient, (*shared, *own), own))
        write = _GrantWriter(draft, catalogue, random)
        written = [write.core(recipient, _parts(names, shared, own)) for recipient, names, own in given]
        return _sealed(draft, written, sealer, signer)
    except BaseException:
        sealer.discard()
        raise


def regrant(
    draft: EnvelopeDraft,
    held: UnlockedGrant,
    recipients: Sequence[Recipient],
    signer: SigningKey,
    *,
    catalogue: Catalogue | None = None,
    random: Random = os.urandom,
) -> SealedEnvelope:
    """Grant parts that were sealed before to a later recipient or to a recipient's new key.

    `held` is the sender's opened grant for itself; `draft` has the same origin, envelope, sender and kind,
    and its `values` and `attachments` are not read. Only the fields marked `per_recipient` are sealed anew,
    so the result has a supplementary manifest, the new grants and those few parts.
    Raises: ManifestMismatch (another envelope), SenderMismatch (not the sender's own grant), PartMissing
    (not in it), and as `seal_envelope`.
    """
    catalogue = load_catalogue() if catalogue is None else catalogue
    check_recipients(recipients)
    core = held.core
    if (core.origin, core.eid, core.snd, core.kind) != (draft.origin, draft.eid, draft.sender, draft.kind):
        raise ManifestMismatch("eid: the held grant is of another envelope", field="eid")
    if core.rcp != draft.sender:
        raise SenderMismatch("rcp: only the sender's own grant can be granted again", field="rcp")
    sealer = Sealer(draft, catalogue, random)
    shared = {name: KeyedPart(*held.key_of(name)) for name in _shared_names(recipients, sealer)}
    write = _GrantWriter(draft, catalogue, random)
    written = [
        write.core(recipient, _parts(recipient.fields, shared, sealer.own(recipient)))
        for recipient in recipients
    ]
    return _sealed(draft, written, sealer, signer)


class _WrittenGrant(Secret):
    """A core that is written, with the keys that will be sealed under it."""

    __slots__ = ("core", "gid", "keys", "recipient")

    def __init__(self, recipient: Recipient, gid: GrantId, core: bytes, keys: Sequence[bytes]) -> None:
        self.recipient = recipient
        self.gid = gid
        self.core = core
        self.keys = keys

    def seal(self) -> SealedGrant:
        """Seal the keys to the recipient, bound to the core."""
        sealed = seal_keys(self.recipient.enc_public_raw, self.keys, self.core)
        digest = grant_digest(self.core, sealed)
        return SealedGrant(self.core, sealed, digest, self.gid, self.recipient.agency, self.recipient.seq)


class _GrantWriter:
    """Writes the cores of one envelope's grants."""

    def __init__(self, draft: EnvelopeDraft, catalogue: Catalogue, random: Random) -> None:
        self._random = random
        self._cores = CoreWriter(
            {
                "origin": draft.origin,
                "eid": draft.eid,
                "kind": draft.kind,
                "pur": draft.purpose,
                "exp": draft.expires_at,
                "snd": draft.sender,
                "sch": catalogue.version,
                "iat": draft.issued_at,
                "reply_by": draft.reply_by,
                "in_reply_to": draft.in_reply_to,
                "supersedes": draft.supersedes,
                "dir": draft.directory,
            }
        )

    def core(self, recipient: Recipient, parts: Sequence[KeyedPart]) -> _WrittenGrant:
        """One recipient's core and the keys of its parts, in the same order."""
        gid = GrantId(new_id(self._random))
        own = {
            "gid": gid,
            "thread": recipient.thread,
            "rcp": recipient.agency,
            "rcp_kid": recipient.kid,
            "pur": recipient.purpose,
            "cns": recipient.consent_digest,
            "subj": recipient.subj,
            "exp": recipient.expires_at,
            "seq": recipient.seq,
            "prev": recipient.prev,
        }
        core = self._cores.write(own, [part.written for part in parts])
        return _WrittenGrant(recipient, gid, core, [part.key for part in parts])


def _shared_names(recipients: Sequence[Recipient], sealer: Sealer) -> list[str]:
    """The fields that are sealed once, in the order in which they are first asked for."""
    names = dict.fromkeys(name for recipient in recipients for name in recipient.fields)
    return [name for name in names if not sealer.is_per_recipient(name)]


def _parts(
    names: Sequence[str], shared: Mapping[str, KeyedPart], own: Mapping[str, KeyedPart]
) -> list[KeyedPart]:
    """The parts of a grant in the order of its fields."""
    if not own.keys() <= set(names):
        raise FieldDenied("values: a value of a field that is not granted", field="values")
    found = {**shared, **own}
    for name in names:
        if name not in found:
            raise FieldDenied("the field is granted but has no value", field=name, rule="no-value")
    return [found[name] for name in names]


def _sealed(
    draft: EnvelopeDraft, written: Sequence[_WrittenGrant], sealer: Sealer, signer: SigningKey
) -> SealedEnvelope:
    # All seals in a row: between other work each takes half as long again (cold caches).
    grants = tuple(grant.seal() for grant in written)
    manifest = sign_manifest(
        signer,
        origin=draft.origin,
        eid=draft.eid,
        sender=draft.sender,
        issued_at=draft.issued_at,
        grants=[grant.digest for grant in grants],
    )
    return SealedEnvelope(manifest, grants, sealer.small, sealer.files)
