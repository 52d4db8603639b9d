"""`init` makes an agency's folder and keys; `enrol` writes the signed bundle that the operator admits."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.member.cli.options import Options, common_options, insecure_option, root_options
from exchange.member.cli.output import print_json, say
from exchange.member.cli.session import new_passphrase, open_unlocked, warn_insecure
from exchange.member.deployment import MAX_BYTES, Deployment
from exchange.member.enrolment import enrol_request, take_bundle, write_enrolment
from exchange.member.files import read_bounded
from exchange.member.founding import found_agency
from exchange.member.profile import Profile
from exchange.member.users import NewUser
from exchange.words import gettext
from exchange_keys.jws import Signed
from exchange_keys.passphrase import read_passphrase
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.ids import check_agency
from exchange_schemas.limits import LIMITS

_PATH = click.Path(path_type=Path)


@click.command()
@common_options
@root_options
@click.option(
    "--deployment", type=_PATH, required=True, help="The file from `exchange-hub deployment export`."
)
@click.option("--agency", required=True, help="This agency's id: a-z, 0-9, '-'.")
@click.option("--name", required=True, help="Legal name.")
@click.option("--kind", required=True, type=click.Choice(load_catalogue().agency_kinds), help="What it is.")
@click.option("--country", required=True, help="ISO 3166, two capital letters.")
@click.option("--contact", required=True, help="A role address, never a person's.")
@click.option("--public-authority", is_flag=True, help="It is a public authority.")
@click.option("--no-root", is_flag=True, help="The root is made on another machine: `root new`.")
@insecure_option
def init(
    options: Options,
    *,
    root_passphrase_file: Path | None,
    root_passphrase_fd: int | None,
    deployment: Path,
    agency: str,
    name: str,
    kind: str,
    country: str,
    contact: str,
    public_authority: bool,
    no_root: bool,
    insecure_kdf: bool,
) -> None:
    """Make an agency's folder, its keys and its first user (an approver).

    Two passphrases: the user's, and the root's, which is needed for enrolment and new approvers only.

    \b
    Example:
      exchange-agency --home ngo init --deployment deployment.json --agency ngo-a --name "NGO A" \\
          --kind ngo --country XX --contact desk@ngo.example --user amal
    """
    warn_insecure(insecure_kdf)
    pins = Deployment.from_bytes(read_bounded(deployment, limit=MAX_BYTES, what="deployment file"))
    profile = Profile(
        agency=check_agency(agency, field="agency"),
        name=name,
        kind=kind,
        country=country,
        contact=contact,
        public_authority=public_authority,
        deployment=pins,
    )
    user = options.user if options.user is not None else "approver"
    passphrase = new_passphrase(
        gettext("New passphrase of {user}: ", user=user), options.passphrase_file, options.passphrase_fd
    )
    root = (
        None
        if no_root
        else new_passphrase(
            gettext("New passphrase of the root key: "), root_passphrase_file, root_passphrase_fd
        )
    )
    found_agency(options.folder(), profile, NewUser(user, passphrase, insecure_kdf), root_passphrase=root)
    _say_founded(options, profile, user, no_root=no_root)


def _say_founded(options: Options, profile: Profile, user: str, *, no_root: bool) -> None:
    if options.json:
        print_json({"agency": profile.agency, "user": user})
        return
    say(
        "{agency} lives in {folder}; its first user is {user} (approver).",
        agency=profile.agency,
        folder=options.folder(),
        user=user,
    )
    # Auditors enrol with the same command of a program of their own.
    program = click.get_current_context().find_root().info_name
    if no_root:
        say("Next: `{program} enrol --request FILE`, and `root sign` where the root is.", program=program)
    else:
        say("Next: `{program} enrol --out FILE`. Afterwards keep root.key offline.", program=program)


@click.command()
@common_options
@root_options
@click.option("--out", type=_PATH, help="Where to write the bundle.")
@click.option("--root-key", type=_PATH, help="The root key file, if it is not in the folder.")
@click.option("--request", type=_PATH, help="Write what a root on another machine is to sign, instead.")
@click.option("--signed", type=_PATH, help="Take the bundle that `root sign` made from the request.")
def enrol(
    options: Options,
    *,
    root_passphrase_file: Path | None,
    root_passphrase_fd: int | None,
    out: Path | None,
    root_key: Path | None,
    request: Path | None,
    signed: Path | None,
) -> None:
    """Write the signed enrolment bundle and print the root's fingerprint.

    Give the file to the operator and read the fingerprint to them over another channel. Where the root is on
    a machine without network: --request FILE here, `root sign FILE` there, --signed FILE here.

    \b
    Examples:
      exchange-agency --home ngo enrol --out ngo-a.enrol
      exchange-agency --home ngo enrol --request ngo-a.request.json
    """
    if sum(file is not None for file in (out, request, signed)) != 1:
        raise click.UsageError("give exactly one of --out, --request and --signed")
    with open_unlocked(options) as session:
        if request is not None:
            enrol_request(session).write(request)
            _tell(options, request, None)
            return
        if signed is not None:
            data = read_bounded(signed, limit=LIMITS.signed_object_bytes, what=signed.name)
            _tell(options, signed, take_bundle(session, Signed.from_bytes(data, LIMITS.enrolment_bytes)))
            return
        if out is not None:
            passphrase = read_passphrase(
                gettext("Passphrase of the root key: "), file=root_passphrase_file, fd=root_passphrase_fd
            )
            shown = write_enrolment(session, out, root_file=root_key, root_passphrase=passphrase)
            _tell(options, out, shown)


def _tell(options: Options, file: Path, fingerprint: str | None) -> None:
    if options.json:
        print_json({"file": str(file), "fingerprint": fingerprint})
    elif fingerprint is None:
        say("wrote {file}; next: `exchange-agency root sign {file} --root-key FILE --out FILE`", file=file)
    else:
        say("the bundle is {file}", file=file)
        say("fingerprint: {fingerprint}", fingerprint=fingerprint)
