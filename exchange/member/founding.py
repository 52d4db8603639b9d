"""Founding an agency: its folder, its keys, its first approver; all of it, or nothing that counts.

`agency.json` is written last, so that a folder without it can simply be used again.
"""

from __future__ import annotations

from pathlib import Path

from exchange.member.home import Home, create_home
from exchange.member.keyring import AgencyKeys
from exchange.member.profile import Profile
from exchange.member.root_file import root_label, write_root
from exchange.member.store import Store
from exchange.member.users import NewUser, write_user
from exchange_keys.box import StoreKey
from exchange_keys.passphrase import check_strength
from exchange_keys.root import RootKey
from exchange_keys.signing import SigningKey


def found_agency(path: Path, profile: Profile, first: NewUser, *, root_passphrase: bytes | None) -> Home:
    """Make the folder `path` with keys, root and the first user, who is an approver.

    Without `root_passphrase` no root is made: it lives on another machine (`exchange-agency root new`).

    Raises: ConfigInvalid (an agency lives there, the profile, a passphrase), StorageFull, Conflict.
    """
    home = create_home(path, profile)
    if not first.insecure:
        check_strength(first.passphrase)
        if root_passphrase is not None:
            check_strength(root_passphrase)
    home.user_file(first.name)
    store_key = StoreKey.generate()
    with home.locked("init"):
        home.clear_unfinished()
        if root_passphrase is not None:
            write_root(
                home.root_file,
                RootKey.generate(),
                passphrase=root_passphrase,
                label=root_label(profile.agency),
                insecure=first.insecure,
            )
        write_user(home, first, store_key, SigningKey.generate())
        AgencyKeys.generate().save(home.keys_file, store_key, profile)
        Store(home.store_file, store_key).close()
        home.finish(profile)
    return home
