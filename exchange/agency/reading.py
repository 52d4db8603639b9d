"""What an agency can look up without asking anybody: the key directory, what it opened, what it sent.

Nothing here changes anything, and nothing that is locked is handed out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from exchange.agency import deletion_rows, message_rows
from exchange.agency.records import Records
from exchange.member.session import Session
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ConsentWithdrawn, Malformed, RecordUnknown
from exchange_schemas.ids import AgencyId, ThreadId, check_agency, check_id

# What not every command needs is imported where it is used, so that a small machine sends photos as well.
if TYPE_CHECKING:
    from exchange.agency.directory_view import AgencyInfo, KeyInfo
    from exchange.agency.model import Message, OutboxItem
    from exchange.agency.timeline import TimelineItem
    from exchange.member.receipts import StoredReceipt
    from exchange.member.stored_files import StoredFile
    from exchange_schemas.agreement import SharingAgreement


class Reader:
    """The half of a `Client` that only looks. `records` are the local records."""

    def __init__(self, session: Session) -> None:
        """Use `Client.open`."""
        self.session = session
        self.records = Records(session)

    def agencies(self) -> list[AgencyInfo]:
        """Every agency in the own copy of the key directory. Raises: ConfigInvalid before the first sync."""
        from exchange.agency import directory_view

        return directory_view.agencies(self.session.directory.state())

    def keys_of(self, agency: str) -> list[KeyInfo]:
        """The keys of one agency. Raises: RecipientDenied when it is not in the directory."""
        from exchange.agency import directory_view

        return directory_view.keys_of(self.session.directory.state(), agency)

    def agreements(self, *, to: str | None = None) -> tuple[int, list[SharingAgreement]]:
        """The version of the sharing agreements in force (0: none), and each of them, or that with `to`.

        Raises: RecipientDenied when the directory has no such agency.
        """
        from exchange.agency import directory_view
        from exchange.agency.parties import party_of

        state = self.session.directory.state()
        kinds = None
        if to is not None:
            me, other = self.session.profile.agency, check_agency(to, field="to")
            kinds = party_of(state, me).kind, party_of(state, other).kind
        return directory_view.agreements(state, kinds)

    def messages(self) -> Iterator[Message]:
        """All opened messages that may still be looked at, oldest first (from the local store)."""
        kept = message_rows.each(self.session.store)
        return (one for one in kept if not deletion_rows.locked(self.session.store, one))

    def message(self, gid: str) -> Message | None:
        """One opened message from the local store, locked or not, or None."""
        return message_rows.get(self.session.store, gid)

    def photo(self, gid: str) -> StoredFile | None:
        """The photo of an opened message, read from the store in pieces; None when it has none.

        Raises: RecordUnknown, ConsentWithdrawn (as `kept`).
        """
        return message_rows.photo_of(self.session.store, self.kept(gid).gid)

    def kept(self, gid: str) -> Message:
        """As `message`. Raises: RecordUnknown when it was not opened here; ConsentWithdrawn."""
        found = self.message(gid)
        if found is None:
            raise RecordUnknown("this message was not opened here", hint="open it without --kept")
        if deletion_rows.locked(self.session.store, found):
            raise ConsentWithdrawn(
                "the consent for this message is withdrawn: it is locked until it is deleted",
                hint="see `exchange-agency deletion list`",
            )
        return found

    def timeline(self, *, record: str | None = None, thread: str | None = None) -> list[TimelineItem]:
        """What was sent and opened about a record, or in a thread, in its order. Raises: RecordUnknown."""
        from exchange.agency import timeline

        me, store = self.session.profile.agency, self.session.store
        if thread is not None:
            return timeline.of_thread(store, ThreadId(check_id(thread, field="thread")), me)
        if record is None:
            raise Malformed("name a record or a thread", field="record")
        return timeline.of_record(store, self.records.get(record).ref, me)

    def responsible(self, thread: str) -> AgencyId | None:
        """Which agency is responsible in a thread by its newest accepted offer; None: none was accepted."""
        from exchange.agency import timeline

        return timeline.responsible(self.timeline(thread=thread))

    def fields_now(self, gid: str) -> Mapping[str, JsonValue]:
        """The fields of an opened message with its sender's corrections in their place.

        Raises: RecordUnknown, ConsentWithdrawn (as `kept`).
        """
        from exchange.agency.corrections import newest_fields

        return newest_fields(self.session.store, self.kept(gid))

    def outbox(self) -> Iterator[OutboxItem]:
        """What this agency sent, with the recipients' signed outcomes."""
        from exchange.agency.outbox import outbox

        return outbox(self.session)

    def receipts(self) -> Iterator[StoredReceipt]:
        """The verified receipts of the hub's audit log, oldest first."""
        return self.session.receipts.each()
