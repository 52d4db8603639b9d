"""Tables of what may be used once: proofs and assertions by the hash of their jti, and revoked tokens.

Rows may be deleted once expired and never before.
"""

from typing import Final

from sqlalchemy import Column, Table

from exchange.hub.models.base import Bytes, Int64, Words, metadata

replay: Final = Table(
    "replay",
    metadata,
    Column("jti_hash", Bytes, primary_key=True),
    # Seconds since 1970.
    Column("expires", Int64, nullable=False),
)
revoked_token: Final = Table(
    "revoked_token",
    metadata,
    Column("jti", Words, primary_key=True),
    # Seconds since 1970.
    Column("expires", Int64, nullable=False),
)
