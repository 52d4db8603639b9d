"""docs/asvs.md has every requirement of its chapters once, and what it names is there."""

import re
from collections import Counter

import pytest

from docs.generate import HERE

ROOT = HERE.parent
PAGE = (HERE / "asvs.md").read_text("utf-8")
STATES = ("met", "not applicable", "open")
# How many requirements each section of ASVS 5.0.0 has.
SECTIONS = {
    **{"4.1": 5, "4.2": 5, "4.3": 2, "4.4": 4},
    **{"8.1": 4, "8.2": 4, "8.3": 3, "8.4": 2},
    **{"9.1": 3, "9.2": 4},
    **{"10.1": 2, "10.2": 3, "10.3": 5, "10.4": 16, "10.5": 5, "10.6": 2, "10.7": 3},
    **{"11.1": 4, "11.2": 5, "11.3": 5, "11.4": 4, "11.5": 2, "11.6": 2, "11.7": 2},
    **{"12.1": 5, "12.2": 2, "12.3": 5},
    **{"13.1": 4, "13.2": 6, "13.3": 4, "13.4": 7},
    **{"14.1": 2, "14.2": 8, "14.3": 3},
    **{"16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 4},
}
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| \d", line)]


def requirements(cell: str) -> list[str]:
    """`4.2.3, 4.2.4` and `4.4.1 – 4.4.4` one by one."""
    found = []
    for item in cell.split(", "):
        first, _, last = item.partition(" – ")
        section, _, number = first.rpartition(".")
        end = int((last or first).rpartition(".")[2])
        found += [f"{section}.{one}" for one in range(int(number), end + 1)]
    return found


def test_every_requirement_stands_there_once() -> None:
    wanted = [f"{section}.{one}" for section, most in SECTIONS.items() for one in range(1, most + 1)]
    listed = [one for row in ROWS for one in requirements(row[0])]
    assert Counter(listed) == Counter(wanted)


def test_each_has_a_state_and_a_reason_and_the_sums_are_right() -> None:
    counted: Counter[str] = Counter()
    for row in ROWS:
        assert len(row) == 5, row
        assert row[3] in STATES
        assert row[4]
        counted[row[3]] += len(requirements(row[0]))
    met, none, left = (counted[state] for state in STATES)
    said = f"Of {met + none + left} requirements {met} are met, {none} are not applicable, {left} are open."
    assert said in PAGE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_a_line_names_is_there(row: list[str]) -> None:
    for name in re.findall(r"`((?:tests|docs|exchange|keys|schemas)/[^`]*)`", row[4]):
        assert (ROOT / name).exists(), name
    for prefix in re.findall(r"`(test_[a-z0-9_]+)\*?`", row[4]):
        files = re.findall(r"`(tests/[^`]*\.py)`", row[4])
        assert any(f"def {prefix}" in (ROOT / file).read_text("utf-8") for file in files), prefix
    for file, title in re.findall(r"`(docs/operations\.md)`, \"([^\"]+)\"", row[4]):
        assert f"## {title}\n" in (ROOT / file).read_text("utf-8")
