"""An agency's folder on disk: where each file lies, and how the folder begins.

Layout: agency.json (readable), users/<name>.key, keys/agency.keys, root.key, store.db, directory/, spool/.
Everything is for its owner alone (0700, 0600). It must never hold a secret that is not sealed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exchange.member.deployment import MAX_BYTES
from exchange.member.files import private_folder, read_bounded, write_private
from exchange.member.locks import hold
from exchange.member.profile import Profile
from exchange_schemas.errors import ConfigInvalid

_USER = re.compile(r"[a-z][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one agency's folder."""

    path: Path

    @property
    def profile_file(self) -> Path:
        """The agency's public description and its pins."""
        return self.path / "agency.json"

    @property
    def keys_file(self) -> Path:
        """Envelope, enc and auth secrets, sealed under the store key."""
        return self.path / "keys" / "agency.keys"

    @property
    def root_file(self) -> Path:
        """The offline root, under a passphrase of its own. It may be moved elsewhere after enrolment."""
        return self.path / "root.key"

    @property
    def store_file(self) -> Path:
        """The encrypted local store."""
        return self.path / "store.db"

    @property
    def spool(self) -> Path:
        """Sealed envelopes on their way."""
        return self.path / "spool"

    @property
    def directory(self) -> Path:
        """This agency's own copy of the key directory (public data)."""
        return self.path / "directory"

    def user_file(self, user: str) -> Path:
        """A user's key file. Raises: ConfigInvalid for a name that is no file name."""
        if _USER.fullmatch(user) is None:
            raise ConfigInvalid(
                "user: a-z, 0-9, '.', '_', '-', beginning with a letter, at most 40", field="user"
            )
        return self.path / "users" / f"{user}.key"

    def users(self) -> tuple[str, ...]:
        """The names of all users, sorted."""
        return tuple(sorted(file.stem for file in (self.path / "users").glob("*.key")))

    def profile(self) -> Profile:
        """Raises: ConfigInvalid when the folder is not an agency's."""
        if not self.profile_file.is_file():
            raise ConfigInvalid(
                f"no agency lives in the folder {self.path.name}",
                hint="run `init` first, or name the folder with --home or HOMEWARD_HOME",
            )
        return Profile.from_bytes(read_bounded(self.profile_file, limit=MAX_BYTES, what="agency.json"))

    def clear_unfinished(self) -> None:
        """Take away what an unfinished `init` left. Raises: ConfigInvalid when one did finish."""
        if self.profile_file.exists():
            raise ConfigInvalid(f"an agency lives in the folder {self.path.name} already")
        keys = (self.root_file, self.keys_file, *(self.path / "users").glob("*.key"))
        for file in (*keys, *self.path.glob(f"{self.store_file.name}*")):
            file.unlink(missing_ok=True)

    def finish(self, profile: Profile) -> None:
        """Write `agency.json`: from now on the folder is an agency's."""
        write_private(self.profile_file, profile.to_bytes())

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Keep other processes of this machine out of the folder for the block. Raises: StoreLocked."""
        with hold(self.path / ".lock", what=what):
            yield


def create_home(path: Path, profile: Profile) -> Home:
    """Make the empty folder; `Home.finish` makes it an agency's once the keys are there.

    Raises: ConfigInvalid when an agency lives there already or the profile is not acceptable.
    """
    profile.check()
    home = Home(path)
    if home.profile_file.exists():
        raise ConfigInvalid(
            f"an agency lives in the folder {path.name} already",
            hint="choose another --home; an agency's keys are never overwritten",
        )
    for folder in (path, path / "users", path / "keys", home.spool, home.directory):
        private_folder(folder)
    return home
