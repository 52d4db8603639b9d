"""`exchange-hub operator`: the people who govern, their keys, and the acts that several of them sign.

A private key is only ever on its operator's machine; the hub gets the public file. Nothing here may add or
remove an operator without the signatures of those who govern.
"""

from __future__ import annotations

from pathlib import Path

import click

from exchange.directory.state import Governance
from exchange.hub.admin.commands import (
    FILE,
    NEW_FILE,
    Target,
    examples,
    hub_command,
    json_option,
    language_option,
)
from exchange.hub.admin.hub_act import read_signable
from exchange.hub.admin.opened import opened_database, opened_hub, signing_time
from exchange.hub.admin.operator_key import (
    KeySource,
    insecure_allowed,
    key_options,
    make_key,
    passphrase_options,
    read_public,
)
from exchange.hub.admin.output import Output, confirm
from exchange.hub.admin.proposal import Proposal
from exchange.hub.admin.weighty import (
    carry_out,
    confirm_fingerprint,
    kid_fingerprint,
    open_operator,
    proposal_option,
    submit,
)
from exchange.hub.services.operators import require_governance
from exchange.words import gettext
from exchange_keys.keyfile import Cost
from exchange_keys.passphrase import read_passphrase
from exchange_schemas.codec import b64u
from exchange_schemas.errors import Conflict, NotFound
from exchange_schemas.event import GovernanceEvent, Operator

_QUORUM = click.option("--quorum", type=click.IntRange(min=1), help="How many must sign from now on.")


@click.group(name="operator", short_help="Operators: their keys, who governs, what several sign.")
@language_option
def group() -> None:
    """Operators' keys, who governs this hub, and the acts that several operators sign."""


@group.command(
    epilog=examples(
        "exchange-hub operator keygen asha --out asha.key",
        "exchange-hub operator keygen asha --out asha.key --passphrase-file secret.txt",
    )
)
@json_option
@click.argument("name")
@click.option("--out", "path", required=True, type=NEW_FILE, help="The key file to write; keep it safe.")
@click.option(
    "--public", type=NEW_FILE, help="The public file to write. Default: the key file's name + .pub."
)
@click.option(
    "--cost",
    type=click.Choice([Cost.MODERATE.label, Cost.SENSITIVE.label]),
    default=Cost.MODERATE.label,
    show_default=True,
    help="What each try of a passphrase costs (Argon2id): 256 MiB or 1 GiB of memory.",
)
@passphrase_options
def keygen(
    out: Output,
    *,
    name: str,
    path: Path,
    public: Path | None,
    cost: str,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Make the key of operator NAME, on NAME's own machine.

    The passphrase has at least 12 characters. Give the public file to whoever runs `operator add`, and read
    them the fingerprint by voice.
    """
    beside = path.with_name(path.name + ".pub") if public is None else public
    passphrase = read_passphrase(
        gettext("New passphrase: "),
        file=passphrase_file,
        fd=passphrase_fd,
        confirm=True,
        again=gettext("Repeat it: "),
    )
    chosen = Cost.INSECURE if insecure_allowed() else Cost.named(cost)
    made = make_key(name, path, beside, passphrase=passphrase, cost=chosen)
    out.facts(
        {
            "name": name,
            "kid": made.kid,
            "fingerprint": kid_fingerprint(made.kid),
            "key_file": str(path),
            "public_file": str(beside),
        },
        title="made an operator's key",
    )


@group.command(
    name="list", epilog=examples("exchange-hub operator list", "exchange-hub operator list --json")
)
@hub_command
def list_(target: Target) -> None:
    """List who governs and how many must sign."""
    with opened_database(target) as engine:
        governance = require_governance(engine)
    rows = [
        {"name": one.name, "kid": one.kid, "fingerprint": kid_fingerprint(one.kid), "key": b64u(one.key)}
        for one in governance.operators
    ]
    target.out.rows(
        "{needed} of {count} must sign",
        rows,
        columns=("name", "fingerprint", "kid"),
        needed=governance.k,
        count=len(rows),
    )


@group.command(
    epilog=examples(
        "exchange-hub operator add ben ben.key.pub --operator-key asha.key",
        "exchange-hub operator add ben ben.key.pub --operator-key asha.key --quorum 2",
    )
)
@hub_command
@click.argument("name")
@click.argument("public_file", type=FILE)
@key_options
@_QUORUM
@click.option("--fingerprint", help="What NAME read out by voice; without it you are asked.")
@proposal_option
def add(
    target: Target,
    *,
    name: str,
    public_file: Path,
    source: KeySource,
    quorum: int | None,
    fingerprint: str | None,
    proposal: Path | None,
) -> None:
    """Let NAME govern too, with the key in PUBLIC_FILE."""
    added = read_public(public_file)
    if added.name != name:
        raise Conflict(f"{public_file.name} is the key of another name than {name}", field="name")
    target.out.note("fingerprint of {name}: {value}", name=name, value=kid_fingerprint(added.kid))
    confirm_fingerprint(kid_fingerprint(added.kid), fingerprint, whose=name)
    _change(target, source, proposal, quorum=quorum, added=added)


@group.command(epilog=examples("exchange-hub operator remove ben --operator-key asha.key"))
@hub_command
@click.argument("name")
@key_options
@_QUORUM
@proposal_option
def remove(
    target: Target,
    *,
    name: str,
    source: KeySource,
    quorum: int | None,
    proposal: Path | None,
) -> None:
    """Let NAME govern no longer."""
    _change(target, source, proposal, quorum=quorum, removed=name)


@group.command(
    epilog=examples(
        "exchange-hub operator sign admit-embassy-a.proposal.json --operator-key ben.key",
        "exchange-hub operator sign p.json --operator-key ben.key --fingerprint ABCD-EFGH-…",
    )
)
@json_option
@click.argument("proposal", type=FILE)
@key_options
@click.option("--fingerprint", help="For an admission: what the agency read out by voice.")
@click.option("--yes", is_flag=True, help="Sign without asking (not for an admission).")
def sign(
    out: Output,
    *,
    proposal: Path,
    source: KeySource,
    fingerprint: str | None,
    yes: bool,
) -> None:
    """Show what PROPOSAL does and add a signature to it. Needs no hub: sign on your own machine."""
    found = read_signable(proposal)
    checked = found.checked_bundle() if isinstance(found, Proposal) else None
    facts = found.facts()
    out.notes(facts)
    if checked is not None:
        confirm_fingerprint(checked.fingerprint, fingerprint, whose=checked.enrolment.agency)
    elif not yes:
        confirm("Sign this?")
    key = source.open(allow_insecure=insecure_allowed())
    signed = found.signed_by(key.key)
    signed.write(proposal, replace_file=True)
    count = signed.signatures
    out.done(
        "{signer} has signed {proposal}; signatures now: {signatures}",
        {**facts, "proposal": str(proposal), "signatures": count},
        signer=key.name,
    )


@group.command(name="submit", epilog=examples("exchange-hub operator submit admit-embassy-a.proposal.json"))
@hub_command
@click.argument("proposal", type=FILE)
def submit_(target: Target, proposal: Path) -> None:
    """Do what PROPOSAL says, when enough operators have signed it."""
    found = Proposal.read(proposal)
    with opened_hub(target) as hub:
        submit(target, hub, found)


def _change(
    target: Target,
    source: KeySource,
    proposal: Path | None,
    *,
    quorum: int | None,
    added: Operator | None = None,
    removed: str | None = None,
) -> None:
    with opened_hub(target) as hub:
        governance = require_governance(hub.engine)
        operators = _operators_after(governance, added, removed)
        k = governance.k if quorum is None else quorum
        if k > len(operators):
            raise Conflict(
                f"{k} signatures can never be had from {len(operators)} operators", hint="give --quorum"
            )
        key = open_operator(source, hub)
        event = GovernanceEvent(
            origin=hub.settings.origin, iat=signing_time(hub, governance.since), k=k, operators=operators
        )
        carry_out(target, hub, event, key, proposal=proposal)


def _operators_after(
    governance: Governance, added: Operator | None, removed: str | None
) -> tuple[Operator, ...]:
    """Who governs afterwards. Raises: NotFound, Conflict."""
    staying = tuple(one for one in governance.operators if one.name != removed)
    if removed is not None and len(staying) == len(governance.operators):
        raise NotFound("there is no operator of that name", hint="exchange-hub operator list")
    if added is None:
        return staying
    if any(one.name == added.name or one.kid == added.kid for one in staying):
        raise Conflict("an operator has this name or this key already", hint="exchange-hub operator list")
    return (*staying, added)
