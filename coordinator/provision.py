# SPDX-License-Identifier: Apache-2.0
"""How a federation comes to be: `init` makes its folder, `admit` takes a site in. Private keys made here never leave.

Two signing keys, because a checkpoint (C2SP signed note) has no room for our signing domains. Rules: check first, then
change; a site's name belongs to the first signing key that was admitted under it.
"""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from coordinator import certificates
from coordinator.folder import SIMULATED_MARKER, FederationFolder
from coordinator.settings import FederationSettings
from privacy.audit.keys import SigningKey
from privacy.audit.note import NoteKey
from privacy.errors import IntegrityError, SettingsError
from privacy.exchange.enrolment import (
    Enrolment,
    StartKit,
    check_authority,
    check_enrolment,
    enrolment_digest,
    read_enrolment,
    sign_start_kit,
    write,
)
from privacy.exchange.messages import COORDINATOR
from privacy.files import private_folder, write_whole
from privacy.identifiers import SiteId
from privacy.randomness import PublicSeed
from privacy.settings_file import parse_toml, render


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
        draft.chmod(0o755)
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
    for name in ("keys", "pki"):
        private_folder(root / name)
    for name in ("roster", "kits", "blobs", "model"):
        (root / name).mkdir()
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
    """Take a site into the roster and make all start kits anew; the kit for `enrolment.site` comes back.

    The same site may come again with the same signing key and new facts (a run that is open keeps the old ones).
    Raises IntegrityError for a bad signature, SettingsError for a name or a key that belongs to another site.
    """
    check_enrolment(enrolment)
    _check_free(folder, enrolment)
    check_authority(_authority(folder), now=now)
    write(folder.roster / f"{enrolment.site}.json", enrolment)
    kit = start_kit(folder)
    for site in kit.roster:
        write(folder.kits / f"{site}.json", kit)
    return kit


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
    return {enrolment.keys.signing, enrolment.keys.node, enrolment.secret_key_commitment}


def roster(folder: FederationFolder) -> dict[SiteId, Enrolment]:
    """All admitted sites, in the order of their names. Raises ContractError or IntegrityError for a damaged file."""
    found: dict[SiteId, Enrolment] = {}
    for path in sorted(folder.roster.glob("*.json")):
        enrolment = read_enrolment(path)
        if enrolment.site != path.stem:
            raise IntegrityError(
                f"roster/{path.name} is the enrolment of another site", next_step="restore the roster from its backup"
            )
        found[enrolment.site] = enrolment
    return found


def start_kit(folder: FederationFolder) -> StartKit:
    """The signed start kit for the roster as it stands."""
    sites = roster(folder)
    key = folder.coordinator_key()
    unsigned = StartKit(
        federation=folder.name,
        address=address(folder),
        ca_certificate=_authority(folder),
        coordinator_key=key.verify_key().hex(),
        log_origin=f"collab/{folder.name}",
        log_vkey=folder.log_vkey.read_text().strip(),
        roster={site: enrolment.roster_site() for site, enrolment in sites.items()},
        enrolments={site: enrolment_digest(enrolment) for site, enrolment in sites.items()},
        simulated=folder.simulated,
        signature="",
    )
    return sign_start_kit(unsigned, key)


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
