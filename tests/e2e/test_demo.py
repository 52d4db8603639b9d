"""The demo: it ends well on real formats and fails plainly where nothing may be shared."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.server, pytest.mark.slow]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo", "--insecure-kdf", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_the_story_is_told_on_the_projects_own_sample() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("demo: ok")
    assert "FIELD_DENIED" in done.stdout
    assert "CONSENT_WITHDRAWN" in done.stdout
    assert "names it" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["pfif/children.pfif-1.4.xml", "primero/cases.json"])
def test_the_story_is_told_on_real_formats(shared_data: Path, name: str) -> None:
    done = demo("--input", str(shared_data / name))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("demo: ok")


def test_a_file_of_adults_is_refused_record_by_record_without_a_value(shared_data: Path) -> None:
    done = demo("--input", str(shared_data / "pfif/test.pfif-1.4.xml"))
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "pfif-adult" in said
    assert "demo: ok" not in said
    assert "Traceback" not in said
    assert "_test_" not in said
    assert "@" not in said


def test_a_file_of_another_kind_fails_plainly(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n", "utf-8")
    done = demo("--input", str(other))
    assert done.returncode == 1
    assert "neither PFIF XML nor a Primero case list" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
