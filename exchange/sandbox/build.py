"""Making a sandbox in a folder, and finding it there again.

`sandbox.json` is written last, so that a folder without it is no sandbox and is never taken for one.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from exchange.member.files import private_folder, write_private
from exchange.sandbox import members, story
from exchange.sandbox.hub import OPERATOR, LocalHub
from exchange_schemas.errors import ConfigInvalid

ORIGIN: Final = "sandbox.homeward.example"
_FILE: Final = "sandbox.json"
_LINE: Final = 64


@dataclass(frozen=True, slots=True)
class Agency:
    """Where one invented agency's things lie. `auth_key_file`: its OAuth key in PEM, named by `auth_kid`."""

    id: str
    name: str
    kind: str
    user: str
    home: str
    passphrase_file: str
    auth_key_file: str
    auth_kid: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What an integrator needs to know about a sandbox."""

    origin: str
    base_url: str
    port: int
    operator: str
    operator_key_file: str
    operator_passphrase_file: str
    deployment_file: str
    agencies: tuple[Agency, ...]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The sandbox in `folder`; None when it holds nothing. Raises: ConfigInvalid for anything else."""
        file = folder / _FILE
        if not file.is_file():
            if folder.is_dir() and any(folder.iterdir()):
                hint = "name an empty folder; if a sandbox was never finished there, remove it"
                raise ConfigInvalid(f"the folder {folder.name} holds no finished sandbox", hint=hint)
            return None
        try:
            known = json.loads(file.read_text("utf-8"))
            agencies = tuple(Agency(**one) for one in known.pop("agencies"))
            return cls(**known, agencies=agencies)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ConfigInvalid(f"{_FILE} in the folder {folder.name} cannot be read") from None

    def hub(self, folder: Path) -> LocalHub:
        """Its hub, not started."""
        return LocalHub(folder, origin=self.origin, port=self.port)


def build(hub: LocalHub, *, insecure: bool, say: Callable[[str], None]) -> Sandbox:
    """Make everything in the folder of `hub`, which is left running. Raises: CommandFailed, ExchangeError."""
    folder = hub.folder
    private_folder(folder)
    say("making the hub and its operator")
    hub.create()
    hub.start()
    say("founding and admitting the invented agencies")
    enrolled = members.enrol_all(folder, hub, insecure=insecure)
    say("writing invented records and messages")
    story.tell(enrolled)
    made = Sandbox(
        origin=hub.origin,
        base_url=hub.base_url,
        port=hub.port,
        operator=OPERATOR,
        operator_key_file=str(hub.operator_key),
        operator_passphrase_file=str(hub.operator_secret),
        deployment_file=str(hub.deployment()),
        agencies=tuple(_agency(one, folder) for one in enrolled.values()),
    )
    write_private(folder / _FILE, json.dumps(asdict(made), indent=1).encode())
    return made


def _agency(one: members.Enrolled, folder: Path) -> Agency:
    with one.open() as client:
        key = client.session.keys.auth[-1]
    file = folder / f"{one.member.id}.auth.pem"
    write_private(file, _pem(key.secret))
    return Agency(
        id=one.member.id,
        name=one.member.name,
        kind=one.member.kind,
        user=one.member.user,
        home=str(one.home),
        passphrase_file=str(one.passphrase_file),
        auth_key_file=str(file),
        auth_kid=key.public.kid,
    )


def _pem(pkcs8: bytes) -> bytes:
    """RFC 7468, section 10. Only here may an agency's key lie in the open: it guards invented data."""
    text = base64.b64encode(pkcs8).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""]).encode()
