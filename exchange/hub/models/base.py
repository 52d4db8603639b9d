"""The one MetaData of the hub's tables and the column types that both databases share.

Tables are SQLAlchemy Core. Nothing here may open a connection or hold a row.
"""

from typing import Final

from sqlalchemy import BigInteger, Integer, LargeBinary, MetaData, Text

metadata: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of 64 bits; on SQLite `INTEGER`, so that a primary key is the row's own number."""
Bytes: Final = LargeBinary
Words: Final = Text
