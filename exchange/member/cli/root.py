"""`root`: the agency's root, on a machine without network. Files in, files out; it needs no agency folder.

Every command says what it is about to sign before it signs, read from the bytes themselves.
"""

from __future__ import annotations

from pathlib import Path

import click

from exchange.member.cli.options import Options, common_options, insecure_option, root_options
from exchange.member.cli.output import confirm, harmless, print_json, say
from exchange.member.cli.session import new_passphrase, warn_insecure
from exchange.member.files import write_private
from exchange.member.root_file import open_root_file, root_label, root_public, write_root
from exchange.member.root_request import EnrolRequest, RootEvents, read_request, root_fingerprint
from exchange.member.session import insecure_allowed
from exchange.words import gettext, pgettext
from exchange_keys.passphrase import read_passphrase
from exchange_keys.root import RootKey
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import SenderMismatch
from exchange_schemas.ids import check_agency

_PATH = click.Path(dir_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
@common_options
def root(options: Options) -> None:
    """The root of an agency's keys, kept and used offline."""


@root.command("new")
@common_options
@root_options
@click.option("--agency", required=True, help="The agency's id: a-z, 0-9, '-'.")
@click.option("--out", type=_PATH, required=True, help="The key file to write.")
@insecure_option
def new(
    options: Options,
    *,
    root_passphrase_file: Path | None,
    root_passphrase_fd: int | None,
    agency: str,
    out: Path,
    insecure_kdf: bool,
) -> None:
    """Make a root key: one Ed25519 and one ML-DSA-65 key that always sign together.

    \b
    Example:
      exchange-agency root new --agency ngo-a --out /media/stick/root.key
    """
    warn_insecure(insecure_kdf)
    name = check_agency(agency, field="agency")
    passphrase = new_passphrase(
        gettext("New passphrase of the root key: "), root_passphrase_file, root_passphrase_fd
    )
    made = RootKey.generate()
    write_root(out, made, passphrase=passphrase, label=root_label(name), insecure=insecure_kdf)
    ed25519, mldsa65 = made.publics
    _tell(
        options, {"agency": name, "file": str(out), "fingerprint": root_fingerprint(ed25519.raw, mldsa65.raw)}
    )


@root.command("show")
@common_options
@click.argument("file", type=_FILE)
def show(options: Options, file: Path) -> None:
    """Show what a root key file, or a file to be signed, holds; needs no passphrase and signs nothing.

    \b
    Example:
      exchange-agency root show rotate.root.json
    """
    public = root_public(file)
    if public is not None:
        label, ed25519, mldsa65 = public
        _tell(options, {"root": label, "fingerprint": root_fingerprint(ed25519.raw, mldsa65.raw)})
        return
    request = read_request(file)
    facts = request.facts()
    if options.json:
        print_json({"asks": facts, "signatures": _signatures(request)})
        return
    _say_facts(facts)


@root.command("sign")
@common_options
@root_options
@click.argument("request", type=_FILE)
@click.option("--root-key", type=_FILE, required=True, help="The root's key file.")
@click.option("--out", type=_PATH, required=True, help="Where to write the signed file.")
@click.option("--yes", is_flag=True, help="Sign without asking.")
def sign(
    options: Options,
    *,
    root_passphrase_file: Path | None,
    root_passphrase_fd: int | None,
    request: Path,
    root_key: Path,
    out: Path,
    yes: bool,
) -> None:
    """Show what REQUEST asks for, ask, and write it signed.

    REQUEST comes from `enrol --request` or `keys … --root-request`. A new root is signed twice: by the new
    one, then by the old one. Compare the fingerprints with the screen of the machine that made the file.

    \b
    Example:
      exchange-agency root sign rotate.root.json --root-key root.key --out rotate.signed.json
    """
    asked = read_request(request)
    _say_facts(asked.facts(), err=True)
    if not yes:
        confirm("Sign this?")
    passphrase = read_passphrase(
        gettext("Passphrase of the root key: "), file=root_passphrase_file, fd=root_passphrase_fd
    )
    key, label = open_root_file(root_key, passphrase=passphrase, allow_insecure=insecure_allowed())
    if label != root_label(asked.agency):
        raise SenderMismatch(
            f"the file is for {asked.agency}, the key is '{harmless(label)}'", field="agency"
        )
    if isinstance(asked, EnrolRequest):
        _write_bundle(asked, key, out)
    else:
        asked.signed_by(key).write(out)
    ed25519, mldsa65 = key.publics
    _tell(options, {"signed": str(out), "fingerprint": root_fingerprint(ed25519.raw, mldsa65.raw)})


def _write_bundle(asked: EnrolRequest, key: RootKey, out: Path) -> None:
    write_private(out, asked.signed_by(key).to_bytes())


def _signatures(request: RootEvents | EnrolRequest) -> int:
    return len(request.events[0].signatures) if isinstance(request, RootEvents) else 0


def _tell(options: Options, facts: dict[str, JsonValue]) -> None:
    if options.json:
        print_json(facts)
        return
    for name, value in facts.items():
        say("{name}: {value}", name=pgettext("fact", name), value=value)


def _say_facts(facts: list[dict[str, JsonValue]], *, err: bool = False) -> None:
    for number, one in enumerate(facts, 1):
        click.echo(f"({number})", err=err)
        for name, value in one.items():
            click.echo(f"  {pgettext('fact', name)}: {harmless(str(value))}", err=err)
