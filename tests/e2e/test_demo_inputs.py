"""The demo on a Primero case list, and on files that hold nothing to share."""

from pathlib import Path

import pytest

from tests.e2e.run_demo import demo

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_the_story_is_told_on_a_case_list(shared_data: Path, tmp_path: Path) -> None:
    done = demo(tmp_path, "--input", str(shared_data / "primero/cases.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("demo: ok")


def test_a_file_of_adults_is_refused_record_by_record_without_a_value(
    shared_data: Path, tmp_path: Path
) -> None:
    done = demo(tmp_path, "--input", str(shared_data / "pfif/test.pfif-1.4.xml"))
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
    done = demo(tmp_path, "--input", str(other))
    assert done.returncode == 1
    assert "neither PFIF XML nor a Primero case list" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
