# SPDX-License-Identifier: Apache-2.0
"""How a federation comes to be: `init` makes its folder, `admit` takes a site in. Private keys made here never leave.

Two signing keys, because a checkpoint (C2SP signed note) has no room for our signing domains. Rules: check first, then
change; a site's name belongs to the first signing key that was admitted under it.
"""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from coordinator import admissions, certificates
from coordinator.folder import SIMULATED_MARKER, FederationFolder
from coordinator.settings import FederationSettings
from privacy.base.errors import CollabError, IntegrityError, SettingsError
from privacy.base.files import private_folder, write_whole
from privacy.base.identifiers import SiteId
from privacy.base.randomness import PublicSeed
from privacy.commandline.settings_file import parse_toml, render
from privacy.log.keys import SigningKey
from privacy.log.note import NoteKey
from privacy.protocol.enrolment import (
    Enrolment,
    StartKit,
    check_authority,
    check_enrolment,
    enrolment_digest,
    read_enrolment,
    sign_start_kit,
    write,
)
from privacy.protocol.messages import COORDINATOR

FRESH_SECONDS: Final = 600.0
"""How often a coordinator at work looks whose certificate has less than half its life left."""


def init(
    root: Path,
    *,
    hosts: Sequence[str],
    now: datetime,
    settings: FederationSettings | None = None,
    simulation: PublicSeed | None = None,
) -> FederationFolder:
    """A new federation in the folder `root`, which must be absent or empty; it appears whole or not at all.

    `hosts` are the names and addresses by which sites reach the server: the first is in every start kit, all are in the
    certificate. With a `simulation` seed the signing keys follow from it and the folder is marked so.
    """
    settings = settings or settings_for(root.resolve().name.lower(), hosts)
    names = [certificates.alternative_name(host) for host in hosts]
    if not names:
        raise SettingsError("a federation needs a host by which sites reach it", next_step="give --host")
    root = root.resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir()) or root == Path.cwd()):
        raise SettingsError(
            f"{root.name} is not an empty folder beside this one", next_step="name a new folder; nothing was changed"
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        _fill(draft, hosts, now, settings, simulation)
        draft.chmod(0o700)
        draft.replace(root)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return FederationFolder(root)


def settings_for(
    name: str, hosts: Sequence[str], *, port: int | None = None, base: FederationSettings | None = None
) -> FederationSettings:
    """`base` (the defaults) under this name and port, listening on this machine alone if all `hosts` are on it."""
    base = base or FederationSettings()
    listen = "127.0.0.1" if all(_is_loopback(host) for host in hosts) else "0.0.0.0"
    run = base.run.model_copy(update={"name": name})
    network = base.network.model_copy(update={"host": listen} | ({} if port is None else {"port": port}))
    text = render(base.model_copy(update={"run": run, "network": network}))
    return parse_toml(
        text, FederationSettings, origin="the name, host or port that was given"
    )  # a copy was not checked yet


def _fill(
    root: Path, hosts: Sequence[str], now: datetime, settings: FederationSettings, simulation: PublicSeed | None
) -> None:
    text = render(settings)
    for name in ("keys", "pki", "door", "roster", "kits", "blobs", "model"):
        private_folder(root / name)
    log_key = _new_key(simulation, "log")
    _new_key(simulation, "coordinator").save(root / "keys" / "coordinator.key")
    log_key.save(root / "keys" / "log.key")
    origin = f"collab/{settings.run.name}"
    write_whole(root / "log.vkey", f"{NoteKey(origin, log_key.verify_key()).vkey()}\n".encode())
    certificates.make_authority(root / "pki", settings.run.name, now=now)
    certificates.make_server(root / "pki", hosts, now=now)
    if simulation is not None:
        write_whole(root / SIMULATED_MARKER, b"The keys in this folder follow a known seed: never use it for real.\n")
    write_whole(root / "federation.toml", text.encode())


def _new_key(simulation: PublicSeed | None, purpose: str) -> SigningKey:
    if simulation is None:
        return SigningKey.generate()
    return SigningKey(simulation.derive(f"simulated coordinator key|{purpose}").value)


def admit(folder: FederationFolder, enrolment: Enrolment, *, now: datetime) -> StartKit:
    """Take a site into the roster, issue its certificate and make all start kits anew; its own kit comes back.

    The same site may come again with the same signing key and new facts (a run that is open keeps the old ones).
    Raises IntegrityError for a bad signature, SettingsError for a name or a key that belongs to another site.
    """
    check_enrolment(enrolment)
    _check_free(folder, enrolment)
    check_authority(_authority(folder), now=now)
    write(folder.roster / f"{enrolment.site}.json", enrolment)
    admissions.let_in(folder.door, folder.pki, enrolment, now=now)
    return write_kits(folder, now=now)[enrolment.site]


def write_kits(folder: FederationFolder, *, now: datetime) -> dict[SiteId, StartKit]:
    """Make the start kit of each site anew, with its newest certificate. A revoked site has none."""
    kits = start_kits(folder, now=now)
    for site in roster(folder):
        if site in kits:
            write(folder.kits / f"{site}.json", kits[site])
        else:
            (folder.kits / f"{site}.json").unlink(missing_ok=True)
    return kits


def state_of(issued: admissions.Issued, *, now: datetime) -> str:
    """In a word, what a certificate is worth at `now`."""
    if now > issued.holder.valid_until:
        return "ended: the site needs a new start kit"
    return "due" if issued.holder.valid_until - now < admissions.RENEW_BEFORE else "ok"


def renew_sites(folder: FederationFolder, *, now: datetime) -> list[admissions.Issued]:
    """Each admitted site's newest certificate, made anew where less than half its life is left."""
    certificates = [
        admissions.certificate_for(folder.door, folder.pki, each, now=now) for each in roster(folder).values()
    ]
    return [one for one in certificates if one is not None]


@contextmanager
def certificates_kept_fresh(folder: FederationFolder, *, seconds: float = FRESH_SECONDS) -> Iterator[None]:
    """Renew the sites' certificates now and every `seconds`, in this process: the one that listens has no CA key."""
    over = threading.Event()

    def renew() -> None:
        while True:
            with suppress(CollabError, OSError):  # a damaged folder is told by `check`; the next turn tries again
                renew_sites(folder, now=datetime.now(UTC))
            if over.wait(seconds):
                return

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _check_free(folder: FederationFolder, new: Enrolment) -> None:
    if new.site == COORDINATOR:
        raise SettingsError(f"no site can be called {COORDINATOR}", next_step="the site chooses another name")
    if new.simulated != folder.simulated:
        whose = "site" if new.simulated else "federation"
        raise SettingsError(
            f"{new.site} was not admitted: this {whose}'s keys follow a known seed, the other side's do not",
            next_step="the site runs `collab-client enroll`, which makes new keys, and sends the new file"
            if new.simulated
            else "make a real federation with `collab-coordinator init`",
        )
    for site, old in roster(folder).items():
        if site == new.site and old.keys.signing != new.keys.signing:
            raise SettingsError(
                f"the name {site} belongs to another signing key",
                next_step=f"if the site really has new keys, hear it from its people, remove roster/{site}.json, "
                "and admit again",
            )
        if site != new.site and _keys(old) & _keys(new):
            raise SettingsError(
                f"a key of {new.site} is also a key of {site}", next_step="each site makes its own keys"
            )


def _keys(enrolment: Enrolment) -> set[str]:
    return {enrolment.keys.signing, enrolment.keys.node, enrolment.keys.tls, enrolment.secret_key_commitment}


def roster(folder: FederationFolder) -> dict[SiteId, Enrolment]:
    """All admitted sites, in the order of their names. Raises ContractError or IntegrityError for a damaged file."""
    enrolments: dict[SiteId, Enrolment] = {}
    for path in sorted(folder.roster.glob("*.json")):
        enrolment = read_enrolment(path)
        if enrolment.site != path.stem:
            raise IntegrityError(
                f"roster/{path.name} is the enrolment of another site", next_step="restore the roster from its backup"
            )
        enrolments[enrolment.site] = enrolment
    return enrolments


def start_kits(folder: FederationFolder, *, now: datetime) -> dict[SiteId, StartKit]:
    """The signed start kits for the roster as it stands, one for each site that has a certificate."""
    sites = roster(folder)
    key = folder.coordinator_key()
    common = {
        "federation": folder.name,
        "address": address(folder),
        "ca_certificate": _authority(folder),
        "coordinator_key": key.verify_key().hex(),
        "log_origin": f"collab/{folder.name}",
        "log_vkey": folder.log_vkey.read_text().strip(),
        "roster": {site: enrolment.roster_site() for site, enrolment in sites.items()},
        "enrolments": {site: enrolment_digest(enrolment) for site, enrolment in sites.items()},
        "simulated": folder.simulated,
        "signature": "",
    }
    return {
        one.holder.site: sign_start_kit(StartKit.model_validate(common | {"certificate": one.pem}), key)
        for one in renew_sites(folder, now=now)
    }


def address(folder: FederationFolder) -> str:
    """Where sites reach the server: the certificate's first name and the port of federation.toml."""
    host = certificates.hosts(folder.pki)[0]
    return f"[{host}]:{folder.settings.network.port}" if ":" in host else f"{host}:{folder.settings.network.port}"


def _authority(folder: FederationFolder) -> str:
    return (folder.pki / certificates.CA_CERTIFICATE).read_text("ascii")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
