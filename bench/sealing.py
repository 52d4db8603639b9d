"""Sealing and opening a twelve-field record, as the agency program does, against its raw primitives.

Floor of a seal: as many HPKE seals of as many key bytes, each to a raw public key as it comes from the
directory, the Cobblestone encryptions of the same padded sizes, one Ed25519 signature. A second, stricter
ratio leaves the loading of the public keys out of the floor: ours keeps the last keys that it has loaded.
Floor of an open: one HPKE open, the same decryptions, one Ed25519 verification. CPU time of this process,
ours and the floors in turn.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final, Self

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from nacl.signing import SigningKey as RawSigningKey

from bench.records import FIELDS, own_plaintext, plaintexts
from bench.table import Row
from bench.timing import Work, in_turn, median_ratio, paired
from exchange_keys.envelope import EnvelopeDraft, Recipient, SealedEnvelope, seal_envelope, unlock_grant
from exchange_keys.manifest import check_grant, open_manifest
from exchange_keys.parts import HEADER_BYTES, KEY_BYTES, TAG_BYTES
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.envelope import NO_PREVIOUS, GrantCore, TreeHead
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, ThreadId, new_id

RECIPIENTS: Final = (1, 5, 20)
SEAL_AIMS: Final = {1: 3.0, 20: 2.2}
ORIGIN: Final = "bench.example"
SENDER: Final = AgencyId("ngo-a")
ROUNDS: Final = 30
MLKEM_PUBLIC_BYTES: Final = 1184
CONTEXT: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Party:
    """An agency that can be sealed to."""

    id: AgencyId
    enc: EncKey = field(default_factory=EncKey.generate)

    def recipient(self, fields: tuple[str, ...]) -> Recipient:
        """Its first grant from the sender."""
        return Recipient(
            agency=self.id,
            kid=self.enc.public.kid,
            enc_public_raw=self.enc.public.raw,
            thread=ThreadId(new_id(os.urandom)),
            seq=1,
            prev=NO_PREVIOUS,
            fields=fields,
            consent_digest=Digest(b64u(sha256(self.id.encode()))) if fields else None,
            subj=Digest(b64u(os.urandom(32))) if fields else None,
            values=own_plaintext(new_id(os.urandom)),
        )


def rows() -> list[Row]:
    """Seal and open for 1, 5 and 20 recipients."""
    return [row for count in RECIPIENTS for row in (*_seal_rows(count), *_open_rows(count))]


def our_seal(count: int) -> Callable[[], SealedEnvelope]:
    """Seals the record for so many recipients and the sender."""
    return _sealing(_parties(count), Party(SENDER), SigningKey.generate())


def _sealing(parties: list[Party], me: Party, signer: SigningKey) -> Callable[[], SealedEnvelope]:
    draft, own = _draft(), me.recipient(())
    recipients = [party.recipient(FIELDS) for party in parties]
    return lambda: seal_envelope(draft, recipients, own, signer)


def _seal_rows(count: int) -> list[Row]:
    parties, me = _parties(count), Party(SENDER)
    ours = _sealing(parties, me, SigningKey.generate())
    floor = SealFloor.of(ours(), [*parties, me])
    mine, raw, loaded = in_turn((ours, floor.from_raw_keys, floor.from_loaded_keys), rounds=ROUNDS, inner=10)
    name = f"seal.{count}"
    return [
        Row(
            f"{name}.ratio",
            median_ratio(mine, raw),
            "x",
            aim=SEAL_AIMS.get(count),
            higher_is_better=False,
            note=f"floor {median(raw) * 1e3:.2f} ms of raw primitives",
        ),
        Row(
            f"{name}.ratio_keys_loaded",
            median_ratio(mine, loaded),
            "x",
            higher_is_better=False,
            note=f"floor {median(loaded) * 1e3:.2f} ms without loading public keys",
        ),
        Row(f"{name}.cpu_ms", median(mine) * 1e3, "ms", higher_is_better=False),
    ]


def our_open(count: int) -> Callable[[], dict[str, bytes]]:
    """Verifies and opens one recipient's grant of an envelope for so many."""
    parties, signer = _parties(count), SigningKey.generate()
    return _opening(_sealing(parties, Party(SENDER), signer)(), parties[0], signer)


def _opening(sealed: SealedEnvelope, party: Party, signer: SigningKey) -> Callable[[], dict[str, bytes]]:
    grant, keys = sealed.grants[0], {signer.public.kid: signer.public}

    def ours() -> dict[str, bytes]:
        manifest, _ = open_manifest(sealed.manifest, origin=ORIGIN, key_for=keys.get)
        check_grant(manifest, grant.core, grant.sealed)
        unlocked = unlock_grant(grant.core, grant.sealed, party.enc)
        return unlocked.fields(lambda ref: sealed.parts[ref.sha256])

    if ours().keys() != set(FIELDS):
        raise RuntimeError("the envelope does not open to its twelve fields")
    return ours


def _open_rows(count: int) -> list[Row]:
    parties, signer = _parties(count), SigningKey.generate()
    sealed = _sealing(parties, Party(SENDER), signer)()
    ours = _opening(sealed, parties[0], signer)
    floor = _open_floor(sealed.grants[0].core, len(sealed.manifest.payload))
    mine, raw, ratio = paired(ours, floor, rounds=ROUNDS, inner=10)
    note = f"floor {raw * 1e3:.2f} ms of raw primitives"
    return [
        Row(f"open.{count}.ratio", ratio, "x", higher_is_better=False, note=note),
        Row(f"open.{count}.cpu_ms", mine * 1e3, "ms", higher_is_better=False),
    ]


def _parties(count: int) -> list[Party]:
    return [Party(AgencyId(f"embassy-{number}")) for number in range(count)]


def _draft() -> EnvelopeDraft:
    now = datetime.now(UTC).replace(microsecond=0)
    return EnvelopeDraft(
        origin=ORIGIN,
        eid=EnvelopeId(new_id(os.urandom)),
        kind="found_notice",
        sender=SENDER,
        purpose="trace",
        issued_at=now,
        expires_at=now + timedelta(days=30),
        directory=TreeHead(size=40, root=NO_PREVIOUS),
        values=plaintexts(),
    )


# -- floors --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SealFloor:
    """The primitives of one envelope and nothing around them. `joined`: the part keys of one grant."""

    raw_keys: tuple[bytes, ...]
    loaded_keys: tuple[MLKEM768X25519PublicKey, ...]
    joined: bytes
    padded: tuple[bytes, ...]
    payload: bytes
    signer: RawSigningKey

    @classmethod
    def of(cls, sealed: SealedEnvelope, parties: list[Party]) -> Self:
        """The floor of this very envelope."""
        raw_keys = tuple(party.enc.public.raw for party in parties)
        return cls(
            raw_keys=raw_keys,
            loaded_keys=tuple(_load(raw) for raw in raw_keys),
            joined=os.urandom(KEY_BYTES * len(FIELDS)),
            padded=tuple(bytes(len(part) - HEADER_BYTES - TAG_BYTES) for part in sealed.parts.values()),
            payload=sealed.manifest.payload,
            signer=RawSigningKey.generate(),
        )

    def from_raw_keys(self) -> None:
        """Everything, with each public key loaded from its 1,216 bytes."""
        self._run([_load(raw) for raw in self.raw_keys])

    def from_loaded_keys(self) -> None:
        """Everything, with public keys that are there already."""
        self._run(self.loaded_keys)

    def _run(self, keys: Sequence[MLKEM768X25519PublicKey]) -> None:
        suite, info, part_key = _suite(), CONTEXT, self.joined[:KEY_BYTES]
        for key in keys:
            suite.encrypt(self.joined, key, info)
        for plain in self.padded:
            encryptor = Cobblestone256Encryptor(part_key, info)
            encryptor.update(plain)
            encryptor.finalize()
        self.signer.sign(self.payload)


def _open_floor(core: bytes, signed_bytes: int) -> Work:
    suite, part_key = _suite(), os.urandom(KEY_BYTES)
    refs = GrantCore.from_bytes(core).parts
    mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    private = MLKEM768X25519PrivateKey(mlkem, x25519)
    public = MLKEM768X25519PublicKey(mlkem.public_key(), x25519.public_key())
    sealed = suite.encrypt(os.urandom(KEY_BYTES * len(refs)), public, CONTEXT)
    parts = [_encrypted(part_key, ref.len - HEADER_BYTES - TAG_BYTES) for ref in refs]
    signer = RawSigningKey.generate()
    verifier, signed = signer.verify_key, signer.sign(os.urandom(signed_bytes))

    def floor() -> None:
        suite.decrypt(sealed, private, CONTEXT)
        for part in parts:
            decryptor = Cobblestone256Decryptor(part_key, CONTEXT)
            decryptor.update(part)
            decryptor.finalize()
        verifier.verify(signed)

    return floor


def _encrypted(part_key: bytes, size: int) -> bytes:
    encryptor = Cobblestone256Encryptor(part_key, CONTEXT)
    return encryptor.update(bytes(size)) + encryptor.finalize()


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM)


def _load(raw: bytes) -> MLKEM768X25519PublicKey:
    mlkem = MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_PUBLIC_BYTES])
    return MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(raw[MLKEM_PUBLIC_BYTES:]))
