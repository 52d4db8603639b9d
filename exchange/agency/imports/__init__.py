"""Reading other systems' files into records: PFIF 1.1-1.4 XML and Primero v2 case lists.

Nothing here opens a network connection, and no message here ever holds a value from a file.
"""

from exchange.agency.imports.model import Imported, LeftOut, Refused, ReleaseFlags
from exchange.agency.imports.source import read_source

__all__ = ["Imported", "LeftOut", "Refused", "ReleaseFlags", "read_source"]
