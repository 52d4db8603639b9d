"""The SDK: one `Client` over an agency's folder, its keys and its hub.

Example::

    from datetime import timedelta
    from pathlib import Path
    from exchange.agency import Client

    with Client.open(Path("ngo-home"), user="amal", passphrase=b"...") as client:
        client.sync()
        record = client.records.add({"name_given": {"text": "..."}, "sex": "female", ...})
        client.records.decide(record.ref, procedure="bia", outcome="for_sharing", body="panel")
        consent = client.consents.grant(
            record.ref, to="embassy-a", purposes=("trace",), basis="best_interests_decision",
            evidence="minutes of the panel, file 12", lasts=timedelta(days=60),
        )
        client.send("found_notice", to=("embassy-a",), record=record.ref)
        for item in client.inbox():
            message = client.open_grant(item.gid)

Errors are of `exchange_schemas.errors`; each has a stable `code`, a sentence and often a `hint`.
It must never send what the local decision refuses, and never hand out what did not verify.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from exchange.agency.consents import Consents
from exchange.agency.member.receipts import StoredReceipt
from exchange.agency.member.session import Session, open_session
from exchange.agency.model import InboxItem, Message, OutboxItem, Sent, Spooled, SyncReport
from exchange.agency.records import Records
from exchange_schemas.codec import JsonValue


class Client:
    """An unlocked agency: use as a context manager, from one thread.

    `records` and `consents` are the local records and this agency's consents.
    """

    def __init__(self, session: Session) -> None:
        """Use `Client.open`."""
        self.session = session
        self.records = Records(session)
        self.consents = Consents(session)

    @classmethod
    def open(cls, home: Path, user: str, passphrase: bytes) -> Self:
        """Unlock the folder `home` as `user`; talks to nobody yet.

        Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StoreLocked, StoreCorrupt.
        """
        return cls(open_session(home, user, passphrase))

    def close(self) -> None:
        """Forget the keys and close the store."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sync(self) -> SyncReport:
        """Bring the copy of the key directory, the consents and the receipts up to date.

        Raises: HubUnreachable, LogFork, CheckpointInvalid, ProofInvalid, SigInvalid.
        """
        raise NotImplementedError

    def send(
        self,
        kind: str,
        *,
        to: Sequence[str],
        record: str | None = None,
        fields: Sequence[str] | None = None,
        purpose: str | None = None,
        consents: Sequence[str] = (),
        content: Mapping[str, JsonValue] | None = None,
        in_reply_to: str | None = None,
        thread: str | None = None,
        reply_by: datetime | None = None,
        lasts: timedelta | None = None,
    ) -> Sent:
        """Decide, seal, spool and deposit one envelope of `kind` to the agencies `to`.

        Each recipient gets the record's fields that its own consent and the kind allow; `fields` asks for
        exactly these. Without `consents` the newest active consent for record and recipient is used.

        Raises: the refusing rule's error (FieldDenied, PurposeDenied, NotPermitted, ...) before anything
        leaves; HubUnreachable when the sealed bytes are spooled and `resume` will send them.
        """
        raise NotImplementedError

    def spooled(self) -> list[Spooled]:
        """Envelopes that were sealed and are not known to have arrived, oldest first."""
        raise NotImplementedError

    def resume(self, job: str | None = None) -> list[Sent]:
        """Send what is spooled (one job or all); an envelope that had arrived is not sent twice."""
        raise NotImplementedError

    def inbox(self, *, waiting_only: bool = False) -> Iterator[InboxItem]:
        """What the hub holds for this agency, oldest first, a page at a time."""
        raise NotImplementedError

    def open_grant(self, gid: str) -> Message:
        """Fetch, verify, open, keep and acknowledge one grant.

        Raises: the error that names what was omitted, swapped or added; ConsentWithdrawn, ConsentExpired,
        ConsentSuperseded or GrantExpired for a dead one.
        """
        raise NotImplementedError

    def messages(self) -> Iterator[Message]:
        """All opened messages that are still kept, oldest first (from the local store)."""
        raise NotImplementedError

    def outbox(self) -> Iterator[OutboxItem]:
        """What this agency sent, with the recipients' signed outcomes."""
        raise NotImplementedError

    def receipts(self) -> Iterator[StoredReceipt]:
        """The verified receipts of the hub's audit log, oldest first."""
        raise NotImplementedError
