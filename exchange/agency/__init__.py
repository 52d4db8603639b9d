"""The agency program: SDK and command line.

`Client` is the whole SDK; `exchange.agency.cli` is the command line over it. The names below load when
they are first used, so that the photo decoder's process does not load keys and transport.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exchange.agency.client import Client
    from exchange.agency.model import (
        Checked,
        ConsentInfo,
        ImportLine,
        InboxItem,
        Message,
        OutboxItem,
        Record,
        Release,
        Sent,
        SentGrant,
        Spooled,
        SyncReport,
        Withdrawn,
        Withheld,
    )
    from exchange.agency.terms import Terms

__all__ = [
    "Checked",
    "Client",
    "ConsentInfo",
    "ImportLine",
    "InboxItem",
    "Message",
    "OutboxItem",
    "Record",
    "Release",
    "Sent",
    "SentGrant",
    "Spooled",
    "SyncReport",
    "Terms",
    "Withdrawn",
    "Withheld",
]


_ELSEWHERE = {"Client": "client", "Terms": "terms"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"exchange.agency.{_ELSEWHERE.get(name, 'model')}"), name)
