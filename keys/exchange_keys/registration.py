"""What a public key must prove before the directory takes it: that it fits its use and can be used.

Each use has its algorithms and no other; a key that loads but can never work (low order, identity, off
the curve, weak RSA) is refused here and not when a child's record is first sealed to it.
Source: protocol.md "Keys of an agency", "Key directory".
"""

from __future__ import annotations

from collections.abc import Mapping

from exchange_keys.auth_key import load_public
from exchange_keys.public import ED25519, ES256, ML_DSA_65, PS256, X_WING, PublicKey
from exchange_keys.sealing import trial_seal
from exchange_keys.signing import check_ed25519_point
from exchange_schemas import event
from exchange_schemas.errors import KeyWrongUse

ALGS_OF_USE: Mapping[str, frozenset[str]] = {
    **{use: frozenset(algs) for use, algs in event.ALGS_OF_USE.items()},
    # Keys that no key event registers: a root has its own event, operators stand in that of governance.
    "root": frozenset({ED25519, ML_DSA_65}),
    "operator": frozenset({ED25519}),
}


def check_key_for_use(use: str, public: PublicKey) -> None:
    """Refuse a key of another type than `use` needs, or one that nothing can be done with.

    Raises: KeyWrongUse (wrong algorithm, or it cannot be sealed to), Malformed (not a key).
    """
    if public.alg not in ALGS_OF_USE.get(use, frozenset()):
        raise KeyWrongUse("use: a key of this algorithm has no such use", field="use")
    if public.alg == ED25519:
        check_ed25519_point(public.raw)
    elif public.alg == X_WING:
        trial_seal(public.raw)
    elif public.alg in (ES256, PS256):
        load_public(public)
