"""Every limit of the protocol in one place, with its unit in its name (protocol.md, "Limits").

A limit is a rule of the wire format: raising one is a new version, so nothing may set these at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; each is the largest value still allowed."""

    json_depth: int = 8

    # Payloads of signed objects.
    manifest_bytes: int = 16 * 1024
    grant_core_bytes: int = 16 * 1024
    consent_bytes: int = 8 * 1024
    withdrawal_bytes: int = 2 * 1024
    receipt_bytes: int = 2 * 1024
    event_bytes: int = 16 * 1024
    entry_bytes: int = 16 * 1024
    tombstone_bytes: int = 16 * 1024
    # Root events carry an ML-DSA-65 signature of 4.4 kB each, and the bundle carries events and keys.
    enrolment_bytes: int = 256 * 1024
    # One JWS in JSON: payload and signatures, with room for hybrid signatures of several operators.
    signed_object_bytes: int = 512 * 1024
    signatures_per_object: int = 34
    # A raw public key: the longest, ML-DSA-65's, has 1,952.
    public_key_bytes: int = 2048

    recipients_per_envelope: int = 64
    # The recipients and the sender's grant for itself.
    grants_per_manifest: int = 65
    parts_per_grant: int = 64
    # X-Wing ciphertext, one 32-byte key for every part, one tag.
    sealed_keys_bytes: int = 1120 + 64 * 32 + 16
    attachment_bytes: int = 25 * 1024 * 1024
    # The longest sealed attachment: 25 MiB and the mark padded by PADMÉ, salt and commitment, a tag for each
    # of its chunks of 16 KiB. More room would let a sender seal more than an attachment may be.
    sealed_part_bytes: int = 26_738_688 + 24 + 32 + 16 * 1633
    request_body_bytes: int = 4 * 1024 * 1024

    fields_per_consent: int = 64
    purposes_per_consent: int = 6
    authorities_per_consent: int = 3
    consent_years: int = 18
    retention_days: int = 6570

    operators_per_deployment: int = 16
    agreements_per_event: int = 64
    agreement_kinds: int = 16
    events_per_enrolment: int = 33
    keys_per_enrolment: int = 35

    parties_per_entry: int = 66
    fields_per_entry: int = 128

    origin_chars: int = 182
    name_chars: int = 120
    contact_chars: int = 200

    # How far clocks may be apart: whoever checks another's object allows so much, whoever begins a validity
    # now lets it begin so much earlier.
    clock_leeway: timedelta = timedelta(seconds=120)


LIMITS = Limits()
