"""The report's page: it loads nothing, runs nothing, has a table behind every plot, and can be read."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from bench.auditlog import LOG, Story, build
from exchange.auditor.cli.main import cli
from exchange.auditor.mirror import Mirror
from exchange.log.tiles import Tile
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.ids import AgencyId
from tests.unit.auditor.command_line import CommandLine
from tests.unit.auditor.logs import LOG as LOG_OF_TESTS
from tests.unit.auditor.logs import entry, mirror
from tests.unit.auditor.test_headed import SALTS, Log

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STYLE = files("exchange.auditor.report").joinpath("style.css").read_text("utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    return build(tmp_path_factory.mktemp("story"), Story(seed=2, days=120, per_day=30).entries(6_000))


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def page(copy: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "report.html"
    cli.main(["report", str(copy.folder), "--out", str(out)], standalone_mode=False)
    return out


class Outline(HTMLParser):
    """The tags of a page with their attributes, and whether they nest."""

    VOID = frozenset({"meta", "line", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def outline(page: Path) -> Outline:
    return Outline(page.read_text("utf-8"))


def test_the_page_is_well_formed_and_loads_and_runs_nothing(page: Path, outline: Outline) -> None:
    assert outline.open == []
    names = {name for name, _ in outline.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "use", "image"}
    for _, attrs in outline.tags:
        assert not any(name.startswith("on") for name in attrs)
        for name in ("href", "src", "xlink:href"):
            assert attrs.get(name, "#").startswith("#")
    text = page.read_text("utf-8")
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text
    assert "default-src 'none'" in outline.all("meta")[1]["content"]


def test_every_plot_is_drawn_for_both_widths_has_a_label_and_a_table(outline: Outline) -> None:
    plots = outline.all("svg")
    assert len(plots) >= 20
    for size in ("wide", "narrow"):
        assert sum(attrs["class"] == size for attrs in plots) * 2 == len(plots)
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 30 for attrs in plots)
    assert len(outline.all("details")) * 2 == len(plots)
    assert len(outline.all("table")) == len(outline.all("caption")) >= len(outline.all("details"))
    assert all(attrs.get("scope") in ("row", "col") for attrs in outline.all("th"))
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in outline.all("section"):
        assert attrs["aria-labelledby"] in ids


def test_headings_language_and_landmarks_are_there(outline: Outline) -> None:
    assert outline.all("html") == [{"lang": "en", "dir": "ltr"}]
    assert len(outline.all("h1")) == 1
    assert len(outline.all("h2")) >= 17
    for landmark in ("header", "main", "nav", "footer"):
        assert len(outline.all(landmark)) == 1


def test_colours_of_a_plot_are_the_page_s_own_in_both_schemes(outline: Outline) -> None:
    fills = {
        attrs["fill"] for name, attrs in outline.tags if name in ("path", "rect", "text") and "fill" in attrs
    }
    assert {fill for fill in fills if fill.startswith("#")} == set()
    used = {fill for fill in fills if fill.startswith("var(")}
    assert used
    assert {name.removeprefix("var(").removesuffix(")") for name in used} <= set(colours("light"))


def colours(scheme: str) -> dict[str, str]:
    """The variables of a scheme; dark ones stand over the light ones."""
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    text = light if scheme == "light" else dark.split("@media print")[0]
    return dict(re.findall(r"(--[a-z0-9-]+): (#[0-9a-f]{6});", text))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_have_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    found = colours(scheme)
    for text, paper in (
        ("--ink", "--paper"),
        ("--soft", "--paper"),
        ("--soft", "--raised"),
        ("--ink", "--raised"),
        ("--accent", "--paper"),
        ("--good", "--paper"),
        ("--grave", "--grave-paper"),
        ("--look", "--look-paper"),
    ):
        assert contrast(found[text], found[paper]) >= 4.5, (text, paper)
    for number in range(1, 9):
        assert contrast(found[f"--c{number}"], found["--paper"]) >= 3, number


def test_the_grave_notice_comes_first_and_names_entries(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.index('class="grave"') < text.index('class="look"')
    assert "under a consent that had been withdrawn" in text


def test_the_json_has_the_same_figures_and_needs_no_plotting_library(
    audit: CommandLine, copy: Mirror, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    code, found = audit.json("report", copy.folder)
    assert code == 0
    assert (found["log"], found["size"]) == (LOG, found["summary"]["entries"])
    text = page.read_text("utf-8")
    for one in found["figures"].values():
        assert one["title"] in text
        assert all(len(row) == len(one["columns"]) for row in one["rows"])
    assert found["notices"][0]["grave"]


def test_a_page_without_its_extra_says_so(
    audit: CommandLine, copy: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    code, _, err = audit.run("report", copy.folder, "--out", tmp_path / "r.html")
    assert code == 1
    assert 'pip install "homeward-exchange[report]"' in err
    assert not (tmp_path / "r.html").exists()


def test_no_report_is_made_of_a_log_that_does_not_hold(audit: CommandLine, tmp_path: Path) -> None:
    bad = mirror(tmp_path / "log", [entry(number) for number in range(300)])
    bad.write_tile(Tile(0, 1, 44), bytes(32 * 44))
    out = tmp_path / "r.html"
    code, _, err = audit.run("report", bad.folder, "--out", out)
    assert code == 4
    assert "exchange-audit verify" in err
    assert not out.exists()


def test_no_report_is_made_where_an_agency_was_not_shown_an_entry_about_it(
    audit: CommandLine, tmp_path: Path
) -> None:
    log = Log()
    log.add("embassy-a", "ngo-a")
    log.heads(forget=0, covers=1, root=bytes(32))
    bad = mirror(tmp_path / "log", log.entries)
    bad.write_salts(SALTS)
    code, _, err = audit.run("report", bad.folder, "--out", tmp_path / "r.html")
    assert (code, "the log does not hold" in err) == (4, True)
    assert not (tmp_path / "r.html").exists()


def test_the_page_says_what_was_verified_of_the_slices(audit: CommandLine, tmp_path: Path) -> None:
    log = Log()
    log.add("embassy-a", "ngo-a")
    log.minutes += 30
    log.heads()
    late = mirror(tmp_path / "log", log.entries)
    late.write_salts(SALTS)
    code, found = audit.json("report", late.folder, "--out", tmp_path / "r.html")
    assert code == 0
    assert found["slices"] == "slices: the hub's commitments to agencies came LATE"
    assert "commitments to agencies came LATE</li>" in (tmp_path / "r.html").read_text("utf-8")


def test_a_deletion_that_was_asked_for_today_and_is_open_is_shown(audit: CommandLine, tmp_path: Path) -> None:
    asked = Entry(
        log=LOG_OF_TESTS,
        id=b64u(bytes(16)),
        ts=1_790_000_000_000_000,
        act=Act.ENVELOPE_DEPOSIT,
        out="allow",
        org=AgencyId("ngo-a"),
        own=(AgencyId("clinic-b"), AgencyId("ngo-a")),
        knd="deletion_request",
    )
    made = mirror(tmp_path / "log", [asked.to_bytes()])
    done, _, err = audit.run("report", made.folder, "--out", tmp_path / "r.html")
    assert done == 0, err
    section = (tmp_path / "r.html").read_text("utf-8").partition('aria-labelledby="unanswered_deletions"')[2]
    section = section.partition("</section>")[0]
    assert "clinic-b" in section
    assert "Nothing to show" not in section


def test_an_empty_log_makes_a_page(audit: CommandLine, tmp_path: Path) -> None:
    empty = mirror(tmp_path / "log", [])
    out = tmp_path / "r.html"
    assert audit.run("report", empty.folder, "--out", out)[0] == 0
    text = out.read_text("utf-8")
    assert "The log is empty." in text
    assert "Nothing stands out." in text
    assert "<svg" not in text


@pytest.mark.parametrize(
    "words",
    [
        ("--out", "r.html", "--timezone", "Nowhere/Atall"),
        ("--out", "r.html", "--timezone", "../../etc/passwd"),
        ("--out", "r.html", "--office-hours", "19-7"),
        ("--out", "r.html", "--office-hours", "seven"),
        (),
    ],
)
def test_an_option_that_makes_no_sense_is_named(
    audit: CommandLine, copy: Mirror, words: tuple[str, ...]
) -> None:
    code, _, err = audit.run("report", copy.folder, *words)
    assert code == 1
    assert err.startswith("error: ")
    assert not Path("r.html").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(("width", "scheme"), [(1100, 1), (500, 0)])
def test_a_browser_draws_the_page_in_both_widths_and_schemes(
    page: Path, tmp_path: Path, width: int, scheme: int
) -> None:
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            str(CHROMIUM),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},2200",
            f"--screenshot={shot}",
            f"file://{quote(str(page))}",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with Image.open(shot) as picture:
        found = picture.convert("RGB")
        paper = colours("light" if scheme else "dark")["--paper"]
        assert f"#{''.join(f'{part:02x}' for part in found.getpixel((2, 2)))}" == paper  # type: ignore[union-attr]
        # The plots' own colours are there: a page whose plots are not drawn has none of the first one.
        mark = colours("light" if scheme else "dark")["--c1"]
        wanted = tuple(int(mark[at : at + 2], 16) for at in (1, 3, 5))
        counted = {colour: count for count, colour in found.getcolors(2**24) or ()}
        assert counted.get(wanted, 0) > 1_000


def test_the_story_is_made_of_real_entries_in_order_of_their_making() -> None:
    entries = list(Story(seed=3).entries(500))
    assert len({json.loads(one)["id"] for one in entries}) == 500
    assert list(Story(seed=3).entries(500)) == entries
