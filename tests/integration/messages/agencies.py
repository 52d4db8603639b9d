"""An agency as the tests hold it: its keys, and where its chains stand."""

from dataclasses import dataclass, field

from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.ids import AgencyId, Digest


@dataclass(eq=False)
class Agency:
    """One agency with its keys, and the heads of its chains as it knows them."""

    id: AgencyId
    envelope: SigningKey = field(default_factory=SigningKey.generate)
    approver: SigningKey = field(default_factory=SigningKey.generate)
    second: SigningKey = field(default_factory=SigningKey.generate)
    enc: EncKey = field(default_factory=EncKey.generate)
    heads: dict[str, tuple[int, Digest]] = field(default_factory=dict)
