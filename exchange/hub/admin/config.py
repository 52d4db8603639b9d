"""Where an admin command finds the hub's settings: a data folder, a KEY=VALUE file, the environment.

The environment wins over the file, an option of the command wins over both. The file never holds a
passphrase, only the name of the file that does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from exchange.hub.settings import OF_MEMBERS, PREFIX
from exchange_keys.durable import durable_file
from exchange_schemas.errors import ConfigInvalid

FILE_NAME = "hub.env"

_NAME = re.compile(r"HOMEWARD_[A-Z0-9_]{1,60}")
_MOST_BYTES = 64 * 1024
_OF_MEMBERS = frozenset(PREFIX + name for name in OF_MEMBERS)


def environment(
    env: Mapping[str, str], *, data_dir: Path | None = None, config: Path | None = None
) -> dict[str, str]:
    """Every HOMEWARD_* setting that applies to this command.

    Raises: ConfigInvalid when the named file is missing or has a line that is not NAME=value.
    """
    ours = {name: value for name, value in env.items() if name.startswith(PREFIX) and name not in _OF_MEMBERS}
    folder = data_dir
    if folder is None and "HOMEWARD_DATA_DIR" in ours:
        folder = Path(ours["HOMEWARD_DATA_DIR"])
    settings: dict[str, str] = {}
    if config is not None:
        settings = read_file(config)
    elif folder is not None and (folder / FILE_NAME).is_file():
        settings = read_file(folder / FILE_NAME)
    settings.update(ours)
    if data_dir is not None:
        settings["HOMEWARD_DATA_DIR"] = os.path.abspath(data_dir)
    return settings


def with_defaults(settings: Mapping[str, str]) -> dict[str, str]:
    """The same; unless named, the embedded database in the data folder and the guard folder beside it."""
    folder = settings.get("HOMEWARD_DATA_DIR")
    if folder is None:
        return dict(settings)
    bare = folder.rstrip("/")
    return {
        "HOMEWARD_DATABASE_URL": f"sqlite:///{bare}/hub.sqlite",
        "HOMEWARD_GUARD_DIR": f"{bare}-guard",
        **settings,
    }


def read_file(path: Path) -> dict[str, str]:
    """The settings in `path`: one NAME=value on each line, `#` opens a comment line, nothing is quoted.

    Raises: ConfigInvalid.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{path}: not a text in UTF-8") from None
    if len(data) > _MOST_BYTES:
        raise ConfigInvalid(f"{path}: longer than {_MOST_BYTES} bytes")
    settings: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.strip()
        if bare == "" or bare.startswith("#"):
            continue
        name, sign, value = bare.partition("=")
        if sign == "" or _NAME.fullmatch(name) is None:
            raise ConfigInvalid(f"{path}: line {number} is not HOMEWARD_NAME=value")
        if name in settings:
            raise ConfigInvalid(f"{path}: line {number} sets {name} again")
        settings[name] = value
    return settings


def write_file(path: Path, settings: Mapping[str, str]) -> None:
    """Write `settings` for `read_file`, readable by its owner alone: a database URL may hold a password.

    Raises: ConfigInvalid for a value that is not one trimmed line; Conflict when the file exists; OSError.
    """
    lines = ["# Settings of this hub. exchange-hub reads them with --data-dir or --config."]
    for name, value in sorted(settings.items()):
        if value != value.strip() or not value.isprintable():
            raise ConfigInvalid(f"{name}: its value must be one line without spaces around it", field=name)
        lines.append(f"{name}={value}")
    with durable_file(path, replace=False) as file:
        file.write(("\n".join(lines) + "\n").encode())
