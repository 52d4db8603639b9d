"""An auditor founds its folder with its own program, and is sent on to that one."""

from pathlib import Path

import pytest

from exchange.log.checkpoint import vkey
from exchange.member.deployment import Deployment, Operator
from exchange_keys.signing import SigningKey
from exchange_schemas.ids import Digest
from tests.unit.agency.cli_runner import secret_file
from tests.unit.auditor.command_line import CommandLine


def test_an_auditor_is_told_the_next_command_of_its_own_program(
    audit: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    key = SigningKey.generate().public
    pins = tmp_path / "homeward.json"
    deployment = Deployment(
        origin="hub.example",
        base_url="http://127.0.0.1:9",
        k=1,
        operators=(Operator("op", key.kid, key.raw),),
        pin=Digest("A" * 43),
        directory_vkey=vkey("hub.example/directory", key.raw),
        audit_vkey=vkey("hub.example/audit", SigningKey.generate().public.raw),
    )
    pins.write_bytes(deployment.to_bytes())
    secret = secret_file(tmp_path / "pass", b"correct horse battery staple")
    who = ["--agency", "open-audit", "--name", "Open Audit", "--kind", "auditor", "--country", "XX"]
    who += ["--contact", "desk@open-audit.example", "--user", "jonas"]
    secrets = ["--passphrase-file", str(secret), "--root-passphrase-file", str(secret)]
    code, out, err = audit.run("--home", tmp_path / "audit", "init", "--deployment", pins, *who, *secrets)
    assert code == 0, err
    assert "exchange-audit enrol --out FILE`" in out
    assert "exchange-agency" not in out
