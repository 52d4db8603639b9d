"""Sealing the parts of one envelope: a fresh id and key for each, padded to its field's bucket.

A sealer is used for one envelope and holds its part keys only until the grants are written.
Source: protocol.md "Envelope", "Parts".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from exchange_keys.attachments import seal_file
from exchange_keys.core_writer import WrittenPart, write_part
from exchange_keys.envelope_draft import EnvelopeDraft, Recipient
from exchange_keys.parts import PartContext, new_part_key, seal_part
from exchange_keys.secret import Secret
from exchange_schemas.catalogue import Catalogue, bucket_of
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.envelope import PartRef
from exchange_schemas.errors import FieldDenied, Malformed
from exchange_schemas.ids import Digest, PartId, new_id


class KeyedPart(Secret):
    """A sealed part, as cores name it, and its 32-byte key."""

    __slots__ = ("key", "written")

    def __init__(self, ref: PartRef, key: bytes) -> None:
        self.written: WrittenPart = write_part(ref)
        self.key = key


class Sealer:
    """Seals parts for one envelope and keeps their ciphertexts until they are handed over."""

    def __init__(self, draft: EnvelopeDraft, catalogue: Catalogue, random: Callable[[int], bytes]) -> None:
        self._draft = draft
        self._catalogue = catalogue
        self._random = random
        self.small: dict[Digest, bytes] = {}
        self.files: dict[Digest, Path] = {}

    def shared(self, name: str, spool: Path | None) -> KeyedPart:
        """Seal a field of the draft that is the same for every recipient: a value or an attachment.

        Raises: FieldDenied (no value), Malformed, TooLarge, StorageFull, OSError.
        """
        source = self._draft.attachments.get(name)
        if source is None:
            return self._value(name, value_of(self._draft.values, name))
        if spool is None or bucket_of(self._catalogue, name) is not None:
            raise Malformed("an attachment needs a spool folder and an attachment field", field=name)
        key, ctx = self._fresh(name)
        path, sealed = seal_file(key, source, spool, ctx)
        self.files[sealed.sha256] = path
        return KeyedPart(PartRef(p=ctx.part_id, f=name, len=sealed.length, sha256=sealed.sha256), key)

    def own(self, recipient: Recipient) -> dict[str, KeyedPart]:
        """Seal the values that only this recipient gets.

        Raises: FieldDenied when the catalogue does not mark the field `per_recipient`.
        """
        for name in recipient.values:
            if not self.is_per_recipient(name):
                raise FieldDenied("the field is the same for every recipient", field=name, rule="shared")
        return {name: self._value(name, value) for name, value in recipient.values.items()}

    def is_per_recipient(self, name: str) -> bool:
        """Whether the field is another one for every recipient."""
        spec = self._catalogue.fields.get(name)
        return spec is not None and spec.per_recipient

    def discard(self) -> None:
        """Remove the sealed attachments of an envelope that came to nothing."""
        for path in self.files.values():
            path.unlink(missing_ok=True)

    def _value(self, name: str, value: bytes) -> KeyedPart:
        bucket = bucket_of(self._catalogue, name)
        if bucket is None:
            raise Malformed("a file is needed, not a value", field=name)
        key, ctx = self._fresh(name)
        ciphertext = seal_part(key, value, bucket, ctx)
        digest = Digest(b64u(sha256(ciphertext)))
        self.small[digest] = ciphertext
        return KeyedPart(PartRef(p=ctx.part_id, f=name, len=len(ciphertext), sha256=digest), key)

    def _fresh(self, name: str) -> tuple[bytes, PartContext]:
        draft, part_id = self._draft, PartId(new_id(self._random))
        ctx = PartContext(draft.origin, draft.eid, part_id, name, self._catalogue.version, draft.sender)
        return new_part_key(self._random), ctx


def value_of(values: Mapping[str, bytes], name: str) -> bytes:
    """The plaintext of a granted field. Raises: FieldDenied when there is none."""
    value = values.get(name)
    if value is None:
        raise FieldDenied("the field is granted but has no value", field=name, rule="no-value")
    return value
