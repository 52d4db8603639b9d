"""The spool: envelopes that are sealed and not known to have arrived, each a job that survives any crash.

The deposit's bytes lie in the store, sealed attachments as files in spool/. A job is there before its first
byte is sent and goes only when the hub has answered for good, so that repeating is always right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from exchange.agency.chains import Head
from exchange.agency.model import Spooled
from exchange.agency.plan import Plan
from exchange.member.store import Store
from exchange_schemas.codec import JsonValue, format_time, parse_time
from exchange_schemas.errors import PartMissing, RecordUnknown, StoreCorrupt
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, Kid, check_kid

_JOBS = "spool"
_DEPOSITS = "spool_deposit"


@dataclass(frozen=True, slots=True)
class SpooledGrant:
    """What the sender must remember of one sealed grant."""

    gid: str
    agency: str
    seq: int
    digest: Digest
    kid: Kid | None = None
    """The key that it is sealed to; None in a job of an older version."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sealed envelope on its way. `attachments`: digest → file name in spool/."""

    job: str
    eid: EnvelopeId
    plan: Plan
    grants: tuple[SpooledGrant, ...]
    attachments: Mapping[Digest, str]
    sealed_at: datetime
    last_error: str | None = None

    def info(self) -> Spooled:
        """As the SDK shows it."""
        recipients = tuple(one.agency for one in self.plan.grants)
        return Spooled(self.job, self.eid, self.plan.kind, recipients, self.sealed_at, self.last_error)


class Spool:
    """The jobs of one agency on this machine."""

    def __init__(self, store: Store, folder: Path) -> None:
        """`folder` holds the sealed attachments."""
        self._store = store
        self.folder = folder

    def put(self, job: Job, deposit: bytes) -> None:
        """Keep a job and the exact bytes of its deposit, durably."""
        with self._store.writing():
            self._store.put_bytes(_DEPOSITS, job.job, deposit)
            self._write(job)

    def note_error(self, job: Job, error: str) -> None:
        """Remember why the last attempt failed."""
        self._write(replace(job, last_error=error))

    def deposit(self, job: Job) -> bytes:
        """The bytes to deposit. Raises: StoreCorrupt."""
        found = self._store.get_bytes(_DEPOSITS, job.job)
        if found is None:
            raise StoreCorrupt("the spool has lost the bytes of a job")
        return found

    def attachment(self, name: str) -> Path:
        """A sealed attachment's file. Raises: PartMissing."""
        path = self.folder / name
        if not path.is_file():
            raise PartMissing("a sealed attachment is no longer in the spool", hint="send the record anew")
        return path

    def remove(self, job: Job) -> None:
        """Forget a job: the hub has answered for good."""
        with self._store.writing():
            self._store.delete(_JOBS, job.job)
            self._store.delete(_DEPOSITS, job.job)
        for name in job.attachments.values():
            (self.folder / name).unlink(missing_ok=True)

    def each(self) -> Iterator[Job]:
        """All jobs, oldest first."""
        return (_job(ident, value) for ident, value in self._store.each(_JOBS))

    def get(self, job: str) -> Job:
        """One job. Raises: RecordUnknown."""
        value = self._store.get(_JOBS, job)
        if value is None:
            raise RecordUnknown("there is no such job in the spool", hint="see `exchange-agency spool`")
        return _job(job, value)

    def heads(self, *, before: str | None = None) -> dict[AgencyId, Head]:
        """The chains' heads once everything here has arrived, or everything before one job."""
        found: dict[AgencyId, Head] = {}
        for job in self.each():
            if job.job == before:
                break
            found |= {AgencyId(one.agency): Head(one.seq, one.digest) for one in job.grants}
        return found

    def clear_stray_files(self) -> None:
        """Delete sealed attachments that no job names: a crash came between sealing and spooling."""
        named = {name for job in self.each() for name in job.attachments.values()}
        for path in self.folder.glob("*.part"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _write(self, job: Job) -> None:
        self._store.put(
            _JOBS,
            job.job,
            {
                "eid": job.eid,
                "plan": job.plan.to_json(),
                "grants": [
                    {
                        "gid": one.gid,
                        "agency": one.agency,
                        "seq": one.seq,
                        "digest": one.digest,
                        "kid": one.kid,
                    }
                    for one in job.grants
                ],
                "attachments": {str(digest): name for digest, name in job.attachments.items()},
                "sealed_at": format_time(job.sealed_at),
                "last_error": job.last_error,
            },
        )


def _job(ident: str, value: Mapping[str, JsonValue]) -> Job:
    try:
        return _read(ident, value)
    except (KeyError, TypeError) as error:
        raise StoreCorrupt("the spool holds a job that cannot be read") from error


def _read(ident: str, value: Mapping[str, JsonValue]) -> Job:
    grants, attachments, last_error = value["grants"], value["attachments"], value["last_error"]
    if not isinstance(grants, list) or not isinstance(attachments, dict):
        raise TypeError
    return Job(
        job=ident,
        eid=EnvelopeId(str(value["eid"])),
        plan=Plan.from_json(value["plan"]),
        grants=tuple(_grant(one) for one in grants),
        attachments={Digest(digest): str(name) for digest, name in attachments.items()},
        sealed_at=parse_time(value["sealed_at"], field="sealed_at"),
        last_error=None if last_error is None else str(last_error),
    )


def _grant(value: JsonValue) -> SpooledGrant:
    if not isinstance(value, dict) or not isinstance(value["seq"], int):
        raise TypeError
    kid = value.get("kid")
    return SpooledGrant(
        gid=str(value["gid"]),
        agency=str(value["agency"]),
        seq=value["seq"],
        digest=Digest(str(value["digest"])),
        kid=None if kid is None else check_kid(kid, field="kid"),
    )
