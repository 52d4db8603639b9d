"""The demo on the project's own sample and on PFIF."""

from pathlib import Path

import pytest

from tests.e2e.run_demo import demo

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_the_story_is_told_on_the_projects_own_sample(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("demo: ok")
    assert "FIELD_DENIED" in done.stdout
    assert "CONSENT_WITHDRAWN" in done.stdout
    assert "refused: current_area (safety), guardian_status (no_authority)" in done.stdout
    assert "signed receipt of embassy-fr: deleted" in done.stdout
    assert "embassy-fr was given" in done.stdout
    assert "1 deletion confirmed" in done.stdout
    assert "names it" in done.stdout
    assert "the audit log is witnessed up to entry" in done.stdout
    assert "a quorum of the witnesses vouches for" in done.stdout
    assert "<svg" in (tmp_path / "report.html").read_text("utf-8")
    assert "Traceback" not in done.stdout + done.stderr


def test_the_story_is_told_on_pfif(shared_data: Path, tmp_path: Path) -> None:
    done = demo(tmp_path, "--input", str(shared_data / "pfif/children.pfif-1.4.xml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("demo: ok")
