"""Agencies of the request bench: real keys in the hub's directory, real tokens, proofs, consents, envelopes.

They are admitted through the hub's own services by an operator's signature; everything after that goes over
HTTP, as an agency's program would send it, only prepared beforehand.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from bench.load import request
from bench.records import FIELDS, own_plaintext, plaintexts
from exchange.directory.enrolment import NewKey, build_bundle, check_bundle
from exchange.directory.events import sign_event
from exchange.hub.services import agencies
from exchange.hub.services.hub import Hub
from exchange_keys.envelope import EnvelopeDraft, Recipient, SealedEnvelope, seal_envelope
from exchange_keys.jose import CLIENT_ASSERTION_TYPE, AuthKey, client_assertion, dpop_proof, token_hash
from exchange_keys.jws import sign
from exchange_keys.root import RootKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, encode, sha256
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening
from exchange_schemas.envelope import NO_PREVIOUS, TreeHead
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, FamilyId, ThreadId, new_id

_EVIDENCE: Final = Digest(b64u(sha256(b"evidence")))
SCOPES: Final = "consents:write envelopes:send envelopes:receive"
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the hub is, and the directory's position that grants name."""

    origin: str
    port: int
    position: TreeHead

    @property
    def base_url(self) -> str:
        """As in the hub's settings."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """A consent as its issuer keeps it: digest and subject are what grants repeat."""

    digest: Digest
    subj: Digest


@dataclass(eq=False, slots=True)
class Member:
    """One agency. `heads`: the last grant to each recipient; `consents`: by recipient."""

    id: AgencyId
    kind: str
    root: RootKey = field(default_factory=RootKey.generate)
    envelope: SigningKey = field(default_factory=SigningKey.generate)
    approver: SigningKey = field(default_factory=SigningKey.generate)
    enc: EncKey = field(default_factory=EncKey.generate)
    auth: AuthKey = field(default_factory=AuthKey.generate)
    dpop: AuthKey = field(default_factory=AuthKey.generate)
    token: str = ""
    heads: dict[AgencyId, tuple[int, Digest]] = field(default_factory=dict)
    consents: dict[AgencyId, GivenConsent] = field(default_factory=dict)

    # -- requests --------------------------------------------------------------------------------------

    def token_request(self, place: Place) -> bytes:
        """For a new access token; the assertion and the proof are used once."""
        assertion = client_assertion(
            self.auth, client_id=self.id, audience=place.base_url, now=_now(), jti=new_id(os.urandom)
        )
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": SCOPES,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "DPoP": self._proof(place, "POST", "/oauth/token", None),
        }
        return request("POST", "/oauth/token", place.port, headers=headers, body=urlencode(form).encode())

    def take_token(self, body: bytes) -> None:
        """Keep the token of an answer."""
        self.token = str(json.loads(body)["access_token"])

    def consent_request(self, place: Place, to: "Member") -> bytes:
        """Registers a consent for all twelve fields."""
        item = self._consent(place, to)
        signed = sign(item.to_bytes(), Consent.typ, [self.approver])
        self.consents[to.id] = GivenConsent(Digest(b64u(sha256(signed.payload))), item.subj)
        return self._call(place, "POST", "/v1/consents", encode({"consent": signed.to_json()}))

    def deposit_request(self, place: Place, to: "Member") -> tuple[bytes, str]:
        """Deposits a sealed twelve-field record; also gives the recipient's grant id."""
        sealed = self._seal(place, to)
        for one in sealed.grants:
            self.heads[one.rcp] = (one.seq, one.digest)
        body = encode(
            {
                "manifest": sealed.manifest.to_json(),
                "grants": [{"core": b64u(one.core), "sealed": b64u(one.sealed)} for one in sealed.grants],
                "parts": [{"sha256": digest, "ct": b64u(ct)} for digest, ct in sealed.parts.items()],
            },
            depth=16,
        )
        (gid,) = [one.gid for one in sealed.grants if one.rcp == to.id]
        return self._call(place, "POST", "/v1/envelopes", body), gid

    def fetch_request(self, place: Place, gid: str) -> bytes:
        """Fetches one grant with its parts."""
        return self._call(place, "GET", f"/v1/grants/{gid}")

    def get_request(self, place: Place, path: str) -> bytes:
        """Any read, with a token and a new proof."""
        return self._call(place, "GET", path)

    def _call(self, place: Place, method: str, path: str, body: bytes = b"") -> bytes:
        headers = {
            "Authorization": f"DPoP {self.token}",
            "DPoP": self._proof(place, method, path, token_hash(self.token)),
        }
        return request(method, path, place.port, headers=headers | (_JSON if body else {}), body=body)

    def _proof(self, place: Place, method: str, path: str, ath: str | None) -> str:
        return dpop_proof(
            self.dpop,
            htm=method,
            htu=place.base_url + path,
            now=_now(),
            jti=new_id(os.urandom),
            ath=ath,
            usr="bench",
        )

    # -- what is signed and sealed ---------------------------------------------------------------------

    def _consent(self, place: Place, to: "Member") -> Consent:
        now = _now().replace(microsecond=0)
        return Consent(
            origin=place.origin,
            cid=ConsentId(new_id(os.urandom)),
            family=FamilyId(new_id(os.urandom)),
            iss=self.id,
            rcp=to.id,
            pur=("trace",),
            fields=tuple(sorted(FIELDS)),
            authorities=(
                Authority(about="child", basis="best_interests_decision", evidence_digest=_EVIDENCE),
            ),
            screening=Screening(state="cleared", evidence_digest=_EVIDENCE),
            nbf=now - timedelta(minutes=1),
            exp=now + timedelta(days=60),
            retention_days=90,
            subj=Digest(b64u(os.urandom(32))),
            iat=now,
            record=ConsentRecord(schema_version="27560:2023"),
        )

    def _seal(self, place: Place, to: "Member") -> SealedEnvelope:
        now = _now().replace(microsecond=0)
        draft = EnvelopeDraft(
            origin=place.origin,
            eid=EnvelopeId(new_id(os.urandom)),
            kind="found_notice",
            sender=self.id,
            purpose="trace",
            issued_at=now,
            expires_at=now + timedelta(days=30),
            directory=place.position,
            values=plaintexts(),
        )
        return seal_envelope(draft, [self._recipient(to)], self._recipient(self), self.envelope)

    def _recipient(self, to: "Member") -> Recipient:
        seq, prev = self.heads.get(to.id, (0, NO_PREVIOUS))
        given = self.consents.get(to.id)
        return Recipient(
            agency=to.id,
            kid=to.enc.public.kid,
            enc_public_raw=to.enc.public.raw,
            thread=ThreadId(new_id(os.urandom)),
            seq=seq + 1,
            prev=prev,
            fields=() if given is None else FIELDS,
            consent_digest=None if given is None else given.digest,
            subj=None if given is None else given.subj,
            values=own_plaintext(new_id(os.urandom)),
        )


def admit(hub: Hub, operator: SigningKey, members: Sequence[Member]) -> None:
    """What `exchange-hub agency admit` does, for each: bundle, check, the operator's signature."""
    origin = hub.settings.origin
    for member in members:
        now = _now().replace(microsecond=0)
        uses = (
            ("envelope", member.envelope.public, None),
            ("approver", member.approver.public, "first"),
            ("enc", member.enc.public, None),
            ("auth", member.auth.public, None),
        )
        since, until = now - timedelta(minutes=2), now + timedelta(days=730)
        bundle = build_bundle(
            origin=origin,
            iat=now,
            agency=member.id,
            name=f"Bench {member.id}",
            kind=member.kind,
            country="JO",
            public_authority=member.kind == "embassy",
            contact=f"desk@{member.id}.example",
            root=member.root,
            keys=[NewKey(use, public, since, until, holder) for use, public, holder in uses],
        )
        checked = check_bundle(bundle, origin=origin, now=now)
        event = agencies.admission(checked, origin=origin, now=now)
        agencies.admit(hub, sign_event(event, [operator]), bundle)


def _now() -> datetime:
    return datetime.now(UTC)
