"""The auditor's command line and report in each language; JSON and exit codes are the same in all of them."""

import re
from pathlib import Path

import pytest

from bench.auditlog import Story, build
from exchange.auditor.mirror import Mirror
from exchange.words import LANGUAGES
from exchange.words.texts import ISOLATE, POP
from tests.unit.auditor.command_line import CommandLine


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    return build(tmp_path_factory.mktemp("story"), Story(seed=3, days=30, per_day=20).entries(600))


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("en", ("integrity:", "every entry and the tree hold")),
        ("fr", ("intégrité:", "chaque entrée et l'arbre tiennent")),
        ("ar", ("السلامة:", "كل القيود والشجرة سليمة")),
        ("ru", ("целостность:", "все записи и дерево целы")),
    ],
)
def test_a_verdict_is_told_in_the_readers_language(
    audit: CommandLine, copy: Mirror, code: str, shown: tuple[str, ...]
) -> None:
    _, out, err = audit.run("verify", copy.folder, "--lang", code)
    assert err == ""
    assert [one for one in shown if one not in out] == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_programs_read_is_the_same_in_every_language(
    audit: CommandLine, copy: Mirror, code: str
) -> None:
    for command in ("verify", "report"):
        english, (done, said) = (
            audit.json(command, copy.folder),
            audit.json(command, copy.folder, "--lang", code),
        )
        for one in (english[1], said):
            one.pop("made", None)
        assert (done, said) == english


@pytest.mark.parametrize(
    ("code", "direction", "title", "figure", "word", "span"),
    [
        (
            "en",
            "ltr",
            "Audit report",
            "Who was given records",
            "all others",
            "5 January 2026 to 20 January 2026 (time zone: Pacific/Kiritimati)",
        ),
        (
            "fr",
            "ltr",
            "Rapport d&#x27;audit",
            "Qui a reçu des dossiers",
            "tous les autres",
            "du 2026-01-05 au 2026-01-20 (fuseau horaire : Pacific/Kiritimati)",
        ),
        (
            "ar",
            "rtl",
            "تقرير التدقيق",
            "من تلقى سجلات",
            "جميع الآخرين",
            "من 2026-01-05 إلى 2026-01-20 (المنطقة الزمنية: Pacific/Kiritimati)",
        ),
        (
            "ru",
            "ltr",
            "Отчёт аудита",
            "Кто получил карточки",
            "все остальные",
            "с 2026-01-05 по 2026-01-20 (часовой пояс: Pacific/Kiritimati)",
        ),
    ],
)
def test_the_report_says_its_language_and_direction(
    audit: CommandLine,
    copy: Mirror,
    tmp_path: Path,
    code: str,
    direction: str,
    title: str,
    figure: str,
    word: str,
    span: str,
) -> None:
    file = tmp_path / f"{code}.html"
    zone = ("--timezone", "Pacific/Kiritimati")
    done, _, err = audit.run("report", copy.folder, "--out", file, "--lang", code, *zone)
    assert done == 0, err
    text = file.read_text("utf-8")
    assert f'<html lang="{code}" dir="{direction}">' in text
    assert f"<h1>{title}</h1>" in text
    assert f'<p class="span">{span}</p>' in re.sub(f"[{ISOLATE}{POP}]", "", text)
    assert figure in text
    # In the plots as in the tables below them.
    assert text.count(word) > 2
    if code != "en":
        prose = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", text, flags=re.S)
        assert [
            one for one in ("Nothing to show", ">accesses<", ">weekday<", ">within a day<") if one in prose
        ] == []


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_help_is_in_the_readers_language(audit: CommandLine, code: str) -> None:
    _, english, _ = audit.run("--help")
    _, out, _ = audit.run("--help", "--lang", code)
    lines = [line.strip() for line in english.splitlines() if "exchange-audit" not in line]
    prose = [line for line in lines if len(line.split()) > 5 and not line.startswith("--")]
    assert prose
    assert [line for line in prose if line in out] == []
    assert "exchange-audit pull log/" in out
