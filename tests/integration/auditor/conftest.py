"""The auditor's command line for every test here."""

import pytest

from tests.unit.auditor.command_line import CommandLine


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)
