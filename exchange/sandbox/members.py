"""Four invented agencies and an auditor: founded, enrolled by bundle and fingerprint, opened."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from exchange.agency import Client
from exchange.member.deployment import Deployment
from exchange.member.enrolment import write_enrolment
from exchange.member.founding import found_agency
from exchange.member.profile import Profile
from exchange.member.users import NewUser
from exchange.sandbox.hub import LocalHub
from exchange.sandbox.programs import secret_file, secret_in
from exchange_schemas.ids import AgencyId


@dataclass(frozen=True, slots=True)
class Member:
    """One invented agency: its id, legal name, kind, and its first user."""

    id: str
    name: str
    kind: str
    country: str
    user: str
    public: bool = False


EMBASSY = Member("embassy-fr", "Embassy of France (invented)", "embassy", "FR", "claire", public=True)
COMMISSION = Member("commission", "Search Commission (invented)", "commission", "FR", "ilya", public=True)
RIVER = Member("river-relief", "River Relief (invented)", "ngo", "IQ", "amal")
HARBOUR = Member("harbour-aid", "Harbour Aid (invented)", "ngo", "SY", "sara")
AUDITOR = Member("open-audit", "Open Audit Office (invented)", "auditor", "CH", "jonas")
ALL = (EMBASSY, COMMISSION, RIVER, HARBOUR, AUDITOR)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Where a member's folder lies and its user's passphrase file; `fingerprint` of its root."""

    member: Member
    home: Path
    passphrase_file: Path
    fingerprint: str

    def open(self) -> Client:
        """The unlocked agency."""
        return Client.open(self.home, self.member.user, secret_in(self.passphrase_file).encode())


def enrol_all(
    folder: Path, hub: LocalHub, *, insecure: bool, who: tuple[Member, ...] = ALL
) -> dict[str, Enrolled]:
    """Each of `who` founded (two at a time, each on a machine of its own in life), then admitted in turn."""
    deployment = Deployment.from_bytes(hub.deployment().read_bytes())
    with ThreadPoolExecutor(max_workers=2) as pool:
        made = pool.map(lambda member: _found(member, folder, deployment, insecure=insecure), who)
    enrolled = {}
    for member in made:
        hub.admit(folder / f"{member.member.id}.enrol", member.fingerprint)
        enrolled[member.member.id] = member
    return enrolled


def _found(member: Member, folder: Path, deployment: Deployment, *, insecure: bool) -> Enrolled:
    """Make the member's keys on its own machine and sign its bundle."""
    home = folder / member.id
    secret = secret_file(folder / f"{member.id}.passphrase")
    root_passphrase = secrets.token_urlsafe(24).encode()
    profile = Profile(
        agency=AgencyId(member.id),
        name=member.name,
        kind=member.kind,
        country=member.country,
        contact=f"desk@{member.id}.example",
        public_authority=member.public,
        deployment=deployment,
    )
    passphrase = secret_in(secret).encode()
    first = NewUser(member.user, passphrase, insecure=insecure)
    found_agency(home, profile, first, root_passphrase=root_passphrase)
    bundle = folder / f"{member.id}.enrol"
    with Client.open(home, member.user, passphrase) as client:
        fingerprint = write_enrolment(client.session, bundle, root_file=None, root_passphrase=root_passphrase)
    return Enrolled(member, home, secret, fingerprint)
