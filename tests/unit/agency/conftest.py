"""What the agency's tests share: a store, deployment pins, an agency folder with test keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.log.checkpoint import vkey
from exchange.member.deployment import Deployment, Operator
from exchange.member.founding import found_agency
from exchange.member.home import Home
from exchange.member.profile import Profile
from exchange.member.store import Store
from exchange.member.users import NewUser
from exchange_keys.box import StoreKey
from exchange_keys.signing import SigningKey
from exchange_schemas.ids import AgencyId, Digest
from tests.unit.agency.agency_samples import ORIGIN, PASSPHRASE, ROOT_PASSPHRASE
from tests.unit.agency.cli_runner import CommandLine, secret_file


@pytest.fixture
def insecure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow key files with the test cost."""
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store(tmp_path / "store.db", StoreKey.generate()) as opened:
        yield opened


@pytest.fixture
def deployment() -> Deployment:
    """Pins of a deployment on this machine."""
    key = SigningKey.generate()
    return Deployment(
        origin=ORIGIN,
        base_url="http://127.0.0.1:9",
        k=1,
        operators=(Operator("op", key.public.kid, key.public.raw),),
        pin=Digest("A" * 43),
        directory_vkey=vkey(f"{ORIGIN}/directory", SigningKey.generate().public.raw),
        audit_vkey=vkey(f"{ORIGIN}/audit", SigningKey.generate().public.raw),
    )


@pytest.fixture
def profile(deployment: Deployment) -> Profile:
    """An agency's description."""
    return Profile(AgencyId("ngo-a"), "NGO A", "ngo", "XX", "desk@ngo.example", False, deployment)


@pytest.fixture
def home(tmp_path: Path, profile: Profile, insecure: None) -> Home:
    """A founded agency with the approver `amal`."""
    return found_agency(
        tmp_path / "ngo", profile, NewUser("amal", PASSPHRASE, insecure=True), root_passphrase=ROOT_PASSPHRASE
    )


@pytest.fixture
def agency(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """The command line of a founded agency."""
    secret = secret_file(tmp_path / "pass", PASSPHRASE)
    return CommandLine(capsys, monkeypatch, ("--home", str(home.path), "--passphrase-file", str(secret)))
