"""`export`: the entries of a copy as one file."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.auditor.cli.trust import read_policy, read_trust, trust_options
from exchange.auditor.export import FORMATS, write_export
from exchange.auditor.mirror import Mirror
from exchange.auditor.reading import proved_leaves, signed_tree
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say_count
from exchange.member.cli.progress import steps_bar


@click.command()
@common_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--format", "form", type=click.Choice(tuple(FORMATS)), default="ndjson", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where to.")
@click.option("--replace", is_flag=True, help="Write over the file if it is there.")
@trust_options
def export(
    options: Options,
    folder: Path,
    *,
    form: str,
    out: Path,
    replace: bool,
    policy: Path | None,
    vkey: str | None,
) -> None:
    """Write every entry of DIR to one file, each proved by the signed checkpoint first.

    ndjson is the evidence: a line is a leaf of the log, byte for byte. csv and parquet (an extra) are views
    for looking at, with the index and the leaf hash of each entry.

    \b
    Example:
      exchange-audit export log/ --out entries.ndjson
      exchange-audit export log/ --format parquet --out entries.parquet
    """
    mirror = Mirror(folder)
    trust = read_trust(options, mirror, read_policy(policy), vkey)
    tree = signed_tree(mirror, trust)
    with steps_bar("exporting") as progress:
        leaves = proved_leaves(mirror, tree, progress=progress)
        count = write_export(out, leaves, FORMATS[form], replace=replace)
    if options.json:
        print_json({"file": str(out), "format": form, "entries": count})
        return
    say_count("{file}: {count} entry", "{file}: {count} entries", count, file=out)
