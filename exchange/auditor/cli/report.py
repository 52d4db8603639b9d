"""`report`: one page of plots over a copy that verifies, or the same figures as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from exchange.auditor.cli.trust import KEY_SOURCES, read_policy, read_trust, trust_options
from exchange.auditor.cli.verify import tell_slices, tell_witnesses
from exchange.auditor.disclosed import Disclosed
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.reading import signed_tree
from exchange.auditor.report.charts import drawer
from exchange.auditor.report.content import Document
from exchange.auditor.report.document import document
from exchange.auditor.report.figures import Figures, Office
from exchange.auditor.report.page import Provenance, page
from exchange.auditor.verdict import Verdict
from exchange.auditor.verify import verify_mirror
from exchange.log.checkpoint import Checkpoint
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.cli.progress import steps_bar
from exchange.words import gettext, in_language
from exchange.words.languages import ENGLISH
from exchange_keys.durable import durable_file
from exchange_schemas.errors import ConfigInvalid, ProofInvalid

_HOURS = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")


@click.command()
@common_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The page to write.")
@click.option("--replace", is_flag=True, help="Write over the page if it is there.")
@click.option(
    "--timezone", default="UTC", show_default=True, help="The time zone of the report's days and hours."
)
@click.option("--office-hours", default="7-19", show_default=True, help="From-to, Monday to Friday.")
@trust_options
def report(
    options: Options,
    folder: Path,
    *,
    out: Path | None,
    replace: bool,
    timezone: str,
    office_hours: str,
    policy: Path | None,
    vkey: str | None,
) -> None:
    """Write one HTML page about the log in DIR: who was given what, for what, when, and what was refused.

    The page needs no network and holds no script. The copy is verified first; a page is made of a log that
    holds and of no other. With --json the same figures are printed; the page needs the extra `report`.

    \b
    Example:
      exchange-audit report log/ --out report.html --policy homeward.policy --timezone Europe/Berlin
    """
    if out is None and not options.json:
        raise ConfigInvalid("nothing to write", field="out", hint="give --out FILE or --json")
    office = _office(timezone, office_hours)
    draw = None if out is None else drawer()
    mirror = Mirror(folder)
    trust = read_trust(options, mirror, read_policy(policy), vkey)
    counted = _count(mirror, trust, office)
    content, provenance = _told(counted)
    if out is not None and draw is not None:
        with durable_file(out, replace=replace) as file:
            for piece in page(content, provenance, draw):
                file.write(piece.encode())
    if options.json:
        with in_language(ENGLISH):
            print_json(_as_json(*_told(counted)))
    else:
        say(
            "{file}: entries: {size}, figures: {figures}",
            file=out,
            size=provenance.size,
            figures=len(content.figures),
        )


@dataclass(frozen=True, slots=True)
class _Counted:
    """What was counted of which tree, under which verdict."""

    figures: Figures
    verdict: Verdict
    tree: Checkpoint
    key: str
    made: datetime


def _count(mirror: Mirror, trust: Trust, office: Office) -> _Counted:
    """Count while verifying; what was counted of a log that does not hold is thrown away."""
    disclosed = Disclosed(mirror.folder)
    figures = Figures(office, disclosed.namer() if disclosed.exists() else None)
    with steps_bar("verifying and counting") as progress:
        verdict = verify_mirror(mirror, trust, take=figures.count, progress=progress)
    if not (verdict.holds and verdict.complete):
        raise ProofInvalid(
            "the log does not hold, so no report is made of it", hint="exchange-audit verify DIR says why"
        )
    return _Counted(
        figures, verdict, signed_tree(mirror, trust), KEY_SOURCES[trust.source], datetime.now(UTC)
    )


def _told(counted: _Counted) -> tuple[Document, Provenance]:
    """The report and where it comes from, in the reader's language."""
    tree = counted.tree
    return document(counted.figures), Provenance(
        origin=tree.origin,
        size=tree.size,
        root=tree.root,
        key=gettext(counted.key),
        made=counted.made,
        witnessed=gettext("witnesses: {what}", what=tell_witnesses(counted.verdict.witnessed)),
        slices=gettext("slices: {what}", what=tell_slices(counted.verdict)),
    )


def _office(name: str, hours: str) -> Office:
    match = _HOURS.fullmatch(hours)
    opens, closes = (int(match[1]), int(match[2])) if match is not None else (0, 0)
    if not 0 <= opens < closes <= 24:
        raise ConfigInvalid("office hours are two hours such as 7-19", field="office-hours")
    return Office(_zone(name), opens, closes)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigInvalid(
            f"no such time zone on this machine: {name}", field="timezone", hint="such as Europe/Berlin"
        ) from error


def _as_json(content: Document, provenance: Provenance) -> dict[str, object]:
    return {
        "log": provenance.origin,
        "size": provenance.size,
        "root": provenance.root.hex(),
        "key": provenance.key,
        "made": provenance.made,
        "witnessed": provenance.witnessed,
        "slices": provenance.slices,
        "unit": content.unit,
        "timezone": str(content.zone),
        "first": content.first,
        "last": content.last,
        "summary": dict(content.summary),
        "notices": list(content.notices),
        "figures": {
            figure.key: {
                "title": figure.title,
                "text": figure.text,
                "columns": list(figure.columns),
                "rows": list(figure.rows),
                "left_out": figure.left_out,
            }
            for figure in content.figures
        },
    }
