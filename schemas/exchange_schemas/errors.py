"""The one error tree of the exchange: every class has a stable `code` that is never reused.

A message is an English sentence that names the field and the rule. It must never contain a record's
values, a secret or key bytes: messages reach logs, terminals and problem documents.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exchange_schemas.codec import JsonValue


class ExchangeError(Exception):
    """Root of the tree. Only its leaves are raised; each leaf gives its `code`.

    `field` names the member at fault, `rule` the rule's permanent tag, `hint` the next step for a person,
    `detail` holds more members for a problem document.
    """

    code: ClassVar[str]

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        if code is not None:
            cls.code = code

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        rule: str | None = None,
        hint: str | None = None,
        detail: Mapping[str, JsonValue] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.rule = rule
        self.hint = hint
        self.detail: Mapping[str, JsonValue] = {} if detail is None else detail


class ProtocolError(ExchangeError):
    """A signed or sealed object breaks the wire protocol."""


class AccessError(ExchangeError):
    """The caller may not do this, or may not know whether the thing exists."""


class RequestError(ExchangeError):
    """The HTTP request itself cannot be served."""


class ServiceError(ExchangeError):
    """The hub cannot answer now; the caller did nothing wrong."""


class LogError(ExchangeError):
    """The audit log or the key directory does not prove what it claims."""


class LocalError(ExchangeError):
    """Something on this machine: key file, settings, import, local store."""


# -- protocol.md, "Error codes" ------------------------------------------------------------------------


class Malformed(ProtocolError, code="MALFORMED"):
    """The bytes are not what the strict codec or the schema accepts."""


class VersionUnsupported(ProtocolError, code="VERSION"):
    """The object's version is not one this program knows."""


class OriginMismatch(ProtocolError, code="ORIGIN"):
    """The object was made for another deployment."""


class KidUnknown(ProtocolError, code="KID_UNKNOWN"):
    """No key in the directory has this key id."""


class KeyNotActive(ProtocolError, code="KEY_NOT_ACTIVE"):
    """The key is not valid yet, no longer valid, or draining."""


class KeyRevoked(ProtocolError, code="KEY_REVOKED"):
    """The key was revoked."""


class KeyWrongUse(ProtocolError, code="KEY_WRONG_USE"):
    """The key exists for another job, or belongs to another agency."""


class LogStale(ProtocolError, code="LOG_STALE"):
    """The copy of the directory is too old to decide with."""


class LogFork(ProtocolError, code="LOG_FORK"):
    """Two views of one log contradict each other."""


class SigInvalid(ProtocolError, code="SIG_INVALID"):
    """A signature does not verify."""


class SenderMismatch(ProtocolError, code="SENDER_MISMATCH"):
    """The sender is not the caller, the issuer or the signer that it must be."""


class ManifestMismatch(ProtocolError, code="MANIFEST_MISMATCH"):
    """The manifest and its grants do not belong together."""


class ConsentUnknown(ProtocolError, code="CONSENT_UNKNOWN"):
    """No such consent is known between these two agencies."""


class ConsentMismatch(ProtocolError, code="CONSENT_MISMATCH"):
    """The grant names another consent than the one given."""


class ConsentExpired(ProtocolError, code="CONSENT_EXPIRED"):
    """The consent is not valid at this time."""


class ConsentWithdrawn(ProtocolError, code="CONSENT_WITHDRAWN"):
    """The consent was withdrawn or its decision revoked."""


class ConsentSuperseded(ProtocolError, code="CONSENT_SUPERSEDED"):
    """A newer consent of the family does not allow all of this."""


class SubjectMismatch(ProtocolError, code="SUBJECT_MISMATCH"):
    """The grant is about another child than the consent."""


class RecipientDenied(ProtocolError, code="RECIPIENT_DENIED"):
    """The consent is for another recipient."""


class FieldDenied(ProtocolError, code="FIELD_DENIED"):
    """A field is outside the consent, the kind of message or the catalogue."""


class PurposeDenied(ProtocolError, code="PURPOSE_DENIED"):
    """The purpose is outside the consent or does not fit the field or the kind."""


class AuthorityMissing(ProtocolError, code="AUTHORITY_MISSING"):
    """A subject of the fields has no authority in the consent."""


class ScreeningDenied(ProtocolError, code="SCREENING_DENIED"):
    """The recipient needs a cleared protection screening."""


class StageDenied(ProtocolError, code="STAGE_DENIED"):
    """The field may not be shared before the match is confirmed."""


class PolicyDenied(ProtocolError, code="POLICY_DENIED"):
    """The sharing agreement between the two agencies' kinds does not allow this."""


class GrantExpired(ProtocolError, code="GRANT_EXPIRED"):
    """The grant is past its time."""


class Replay(ProtocolError, code="REPLAY"):
    """The object was used before."""


class SeqConflict(ProtocolError, code="SEQ_CONFLICT"):
    """The grant's place in the chain is taken or leaves a gap."""


class PartMissing(ProtocolError, code="PART_MISSING"):
    """A part that the grant names is not there."""


class PartDigest(ProtocolError, code="PART_DIGEST"):
    """A part's digest or length is not the one that the grant names."""


class DecryptFailed(ProtocolError, code="DECRYPT_FAILED"):
    """Opening failed; one code for KEM, tag, commitment and padding, so that nothing can be probed."""


# -- access and request --------------------------------------------------------------------------------


class Unauthorized(AccessError, code="UNAUTHORIZED"):
    """Who is calling was not proved."""


class Forbidden(AccessError, code="FORBIDDEN"):
    """The caller is known and may not do this."""


class NotFound(AccessError, code="NOT_FOUND"):
    """There is nothing here that the caller may know of."""


class RateLimited(AccessError, code="RATE_LIMITED"):
    """Too many calls."""


class TooLarge(RequestError, code="TOO_LARGE"):
    """The request or an object in it is over its limit."""


class RangeUnsatisfiable(RequestError, code="RANGE_NOT_SATISFIABLE"):
    """No byte of the range that was asked for is there."""


class Conflict(RequestError, code="CONFLICT"):
    """The request contradicts the state of the thing it names."""


class MethodNotAllowed(RequestError, code="METHOD_NOT_ALLOWED"):
    """This address does not answer to this method."""


class UnsupportedMedia(RequestError, code="UNSUPPORTED_MEDIA"):
    """The body is of a type that this address does not read."""


# -- service and log -----------------------------------------------------------------------------------


class Unavailable(ServiceError, code="UNAVAILABLE"):
    """The hub cannot serve now."""


class AuditUnavailable(ServiceError, code="AUDIT_UNAVAILABLE"):
    """The audit log cannot be written, so nothing may be answered."""


class StorageFull(ServiceError, code="STORAGE_FULL"):
    """A volume is full."""


class EntryInvalid(LogError, code="ENTRY_INVALID"):
    """A log entry is not one that its rules allow."""


class ProofInvalid(LogError, code="PROOF_INVALID"):
    """An inclusion or consistency proof does not verify."""


class CheckpointInvalid(LogError, code="CHECKPOINT_INVALID"):
    """A checkpoint is malformed, badly signed or lacks its quorum."""


class LogIncomplete(LogError, code="LOG_INCOMPLETE"):
    """A part of the log is missing."""


# -- local ---------------------------------------------------------------------------------------------


class WrongPassphrase(LocalError, code="WRONG_PASSPHRASE"):
    """The passphrase does not open the key file."""


class KeyFileCorrupt(LocalError, code="KEYFILE_CORRUPT"):
    """The key file is damaged or was altered."""


class ConfigInvalid(LocalError, code="CONFIG_INVALID"):
    """A setting is missing, unknown or weak."""


class MissingExtra(LocalError, code="MISSING_EXTRA"):
    """An optional part of the installation is missing."""


class HubUnreachable(LocalError, code="HUB_UNREACHABLE"):
    """The hub did not answer."""


class HubRefused(LocalError, code="HUB_REFUSED"):
    """The hub answered with a refusal.

    `problem` is its RFC 9457 document.
    """

    def __init__(
        self,
        message: str,
        *,
        problem: Mapping[str, JsonValue] | None = None,
        field: str | None = None,
        rule: str | None = None,
        hint: str | None = None,
        detail: Mapping[str, JsonValue] | None = None,
    ) -> None:
        super().__init__(message, field=field, rule=rule, hint=hint, detail=detail)
        self.problem: Mapping[str, JsonValue] = {} if problem is None else problem


class ClockSkew(LocalError, code="CLOCK_SKEW"):
    """This machine's clock and the hub's differ too much."""


class ImportUnreadable(LocalError, code="IMPORT_UNREADABLE"):
    """The file to import cannot be read."""


class PhotoRefused(LocalError, code="PHOTO_REFUSED"):
    """The picture cannot be made safe to send."""


class RecordUnknown(LocalError, code="RECORD_UNKNOWN"):
    """The local store has no such record."""


class StoreLocked(LocalError, code="STORE_LOCKED"):
    """The local store is in use or not open."""


class NotPermitted(LocalError, code="NOT_PERMITTED"):
    """A rule of this program or its owner forbids the step."""


class BundleBroken(LocalError, code="BUNDLE_BROKEN"):
    """A courier bundle is not whole, or was altered."""


class BundleForeign(LocalError, code="BUNDLE_FOREIGN"):
    """A courier bundle is for somebody else, or answers what was never asked here."""


class BundleExpired(LocalError, code="BUNDLE_EXPIRED"):
    """A courier bundle is past its time, or not yet in it."""


class StoreCorrupt(LocalError, code="STORE_CORRUPT"):
    """The local store is damaged or was altered."""


def _leaves(cls: type[ExchangeError]) -> Iterator[type[ExchangeError]]:
    for child in cls.__subclasses__():
        if child.__module__ == __name__:
            yield from _leaves(child)
            if "code" in vars(child):
                yield child


@cache
def _by_code() -> dict[str, type[ExchangeError]]:
    return {cls.code: cls for cls in _leaves(ExchangeError)}


def error_codes() -> tuple[str, ...]:
    """Every code of the tree, sorted; for the OpenAPI file and the docs."""
    return tuple(sorted(_by_code()))


def protocol_codes() -> tuple[str, ...]:
    """The codes of protocol.md, sorted: what a recipient may give as its reason to refuse a grant."""
    return tuple(sorted(cls.code for cls in _leaves(ProtocolError)))


def error_for(code: str) -> type[ExchangeError]:
    """The class of a problem document's `code`.

    A code that this version does not know gives `HubRefused`: a newer hub's refusal stays a refusal.
    """
    return _by_code().get(code, HubRefused)
