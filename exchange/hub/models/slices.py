"""Tables of the slices: each party's sub-log over the audit log's leaves, and the newest heads over them all.

All but the salts can be made again from the log. The salts cannot: without them nobody can check the heads
entries that are in the log, so a party's row is never deleted and its salt never changed.
"""

from typing import Final

from sqlalchemy import Column, Table

from exchange.hub.models.base import Bytes, Int64, Words, metadata

slice_party: Final = Table(
    "slice_party",
    metadata,
    Column("party", Words, primary_key=True),
    # Stands for the party in `slice_leaf`, which has two rows for each entry of the log.
    Column("number", Int64, nullable=False, unique=True),
    Column("salt", Bytes, nullable=False),
    Column("size", Int64, nullable=False),
    Column("frontier", Bytes, nullable=False),
    # As they were under the newest heads entry; a size of 0: it was not among the parties then.
    Column("head_size", Int64, nullable=False),
    Column("head_frontier", Bytes, nullable=False),
)
slice_leaf: Final = Table(
    "slice_leaf",
    metadata,
    Column("number", Int64, primary_key=True, autoincrement=False),
    # The leaf's place in the slice, and in the log.
    Column("pos", Int64, primary_key=True, autoincrement=False),
    Column("idx", Int64, nullable=False),
    sqlite_with_rowid=False,
)
slice_state: Final = Table(
    "slice_state",
    metadata,
    Column("one", Int64, primary_key=True, autoincrement=False),
    # The entries of the log that are in their slices: those below this number.
    Column("covers", Int64, nullable=False),
    # The newest heads entry: how many it covers, its id ("" before the first), the leaves of its tree.
    Column("head_covers", Int64, nullable=False),
    Column("head_entry", Words, nullable=False),
    Column("head_leaves", Bytes, nullable=False),
    # Whose turn it is to bring the slices up to date, and until when (seconds since 1970).
    Column("holder", Words, nullable=False),
    Column("until", Int64, nullable=False),
    # The proofs of requests were forgotten for the entries below this number.
    Column("forgotten", Int64, nullable=False),
)
