"""A shell in which `exchange-hub` runs as an operator would type it, over each database."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from exchange.directory.enrolment import fingerprint
from exchange.hub.admin.cli import main
from exchange.hub.db import open_engine
from exchange.hub.models.log import log_entry
from exchange.hub.settings import Settings
from exchange_schemas.entry import Entry
from exchange_schemas.ids import Digest
from tests.integration.directory.people import Agency

OPERATOR_PASSPHRASE = "open sesame and more"
HUB_PASSPHRASE = "correct horse battery staple"


@dataclass
class Shell:
    """Runs commands in `folder`, with the environment's HOMEWARD_ settings in `env`."""

    folder: Path
    env: dict[str, str]
    database_url: str
    runner: CliRunner = field(default_factory=CliRunner)

    def run(self, *args: str, code: int = 0, data_dir: bool = True, typed: str | None = None) -> Result:
        """Run one command and check its exit code."""
        where = ["--data-dir", str(self.folder / "hub")] if data_dir else []
        result = self.runner.invoke(main, [*args, *where], env=self.env, input=typed)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, (result.stdout, result.stderr)
        assert "Traceback" not in result.output
        if code != 0:
            assert (
                result.stderr.splitlines()[-1].startswith(("error: ", "hint: ")) or "error: " in result.stderr
            )
        return result

    def json(self, *args: str, **options: Any) -> Any:
        """What a command prints with --json."""
        return json.loads(self.run(*args, "--json", **options).stdout)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def secret(self, name: str, text: str) -> str:
        """A passphrase file."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(f"{text}\n")
        return str(path)

    def keygen(self, name: str) -> None:
        """A key of an operator, as NAME.key and NAME.key.pub."""
        self.run(
            "operator", "keygen", name, "--out", self.path(f"{name}.key"), *self.passphrase(), data_dir=False
        )

    def passphrase(self) -> list[str]:
        return ["--passphrase-file", self.secret("operator.pass", OPERATOR_PASSPHRASE)]

    def signed_by(self, name: str) -> list[str]:
        """The options of a command that this operator signs."""
        return ["--operator-key", self.path(f"{name}.key"), *self.passphrase()]

    def init(self, name: str = "asha", *more: str, code: int = 0) -> Result:
        """Make the hub, with its first operator."""
        if not Path(self.path(f"{name}.key")).exists():
            self.keygen(name)
        where = ["--origin", "exchange.example", "--base-url", "https://exchange.example"]
        secret = ["--hub-passphrase-file", self.secret("hub.pass", HUB_PASSPHRASE)]
        return self.run("init", *where, *secret, "--operator", name, *self.signed_by(name), *more, code=code)

    def bundle(self, agency: Agency, **changes: Any) -> str:
        """The agency's bundle as a file."""
        path = self.folder / f"{agency.id}.enrol"
        path.write_bytes(agency.bundle(**changes).to_bytes())
        return str(path)

    def admit(self, name: str) -> Agency:
        """An agency, admitted by asha."""
        agency = Agency.named(name)
        fingerprint = ["--fingerprint", agency.fingerprint]
        self.run("agency", "admit", self.bundle(agency), *fingerprint, *self.signed_by("asha"))
        return agency

    def entries(self) -> list[Entry]:
        """The audit log, in order."""
        engine = open_engine(self.database_url)
        rows = select(log_entry.c.entry)
        with engine.connect() as conn:
            found = conn.execute(rows.order_by(log_entry.c.idx)).scalars().all()
        engine.dispose()
        return [Entry.from_bytes(bytes(entry)) for entry in found]


_POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
on_postgres = pytest.mark.parametrize("database_kind", [_POSTGRES])
both = pytest.mark.parametrize("database_kind", ["sqlite", _POSTGRES])
"""On both databases; without this mark a test runs on SQLite, where the database makes no difference."""


@pytest.fixture
def database_kind() -> str:
    """SQLite, unless the test is marked `both`."""
    return "sqlite"


@pytest.fixture
def shell(new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """An empty folder and an empty database."""
    for name in list(os.environ):
        if name.startswith("HOMEWARD_"):
            monkeypatch.delenv(name)
    env = {"HOMEWARD_ENVIRONMENT": "development", "HOMEWARD_INSECURE_KDF": "1", "HOMEWARD_LANG": "en"}
    settings = new_settings(migrated=False)
    url = f"sqlite:///{tmp_path / 'shell' / 'hub' / 'hub.sqlite'}"
    if settings.owner_database_url is not None:
        url = settings.database_url
        env["HOMEWARD_DATABASE_URL"] = url
        env["HOMEWARD_OWNER_DATABASE_URL"] = settings.owner_database_url
    folder = tmp_path / "shell"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Shell(folder, env, url)


@pytest.fixture
def made(shell: Shell) -> Shell:
    """A hub governed by asha."""
    shell.init()
    return shell


def added(shell: Shell, name: str, *more: str, code: int = 0) -> str:
    """Let NAME govern too; what was said on stderr."""
    if not Path(shell.path(f"{name}.key")).exists():
        shell.keygen(name)
    public = json.loads(Path(shell.path(f"{name}.key.pub")).read_text())
    shown = fingerprint(Digest(public["kid"]))
    words = ["operator", "add", name, shell.path(f"{name}.key.pub"), "--fingerprint", shown]
    return shell.run(*words, *shell.signed_by("asha"), *more, code=code).stderr


@pytest.fixture
def bare(shell: Shell) -> Shell:
    """A hub governed by asha, without sharing agreements: its tables may go back."""
    shell.init("asha", "--without-agreements")
    return shell


@pytest.fixture
def pair(made: Shell) -> Shell:
    """A hub where asha and ben must both sign."""
    added(made, "ben", "--quorum", "2")
    return made
