# SPDX-License-Identifier: Apache-2.0
"""A site's identity: keys made at home, the enrolment that goes out, the start kit that comes back.

    keys/signing.key   Ed25519, signs what the site says        keys/node.key, node.pub   P-384, OpenSSH, for Flower
    keys/site.key      32 bytes, the SecretSeed from which noise, the cache's HMAC and the split are derived by purpose
    keys/tls.key       P-384, PEM, of which the site's client certificate is made
    enrolment.json     for the coordinator                      kit.json                  from the coordinator
    certificate.pem    the newest client certificate that came over the connection (client.renewal)

Rules: keys are 0600 in a folder of 0700, appear all at once, and are never written over: to enroll again keeps them,
and adds the TLS key to those of a site that enrolled before there was one.
Only the known keys of a simulated folder are replaced; what was made with them is put aside, not deleted; the ledger
stays, for what was spent is spent. A start kit is pinned: one from another coordinator is refused.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from client.settings.site_settings import SIMULATED_MARKER, SiteFolder
from privacy.base.errors import IntegrityError, PlanRefused, SettingsError
from privacy.base.files import read_secret, sync_folder, write_secret, write_whole
from privacy.base.identifiers import SiteId
from privacy.base.randomness import SEED_BYTES, PublicSeed, SecretSeed
from privacy.log.keys import SigningKey
from privacy.protocol.enrolment import (
    Enrolment,
    KeySlots,
    StartKit,
    enrolment_digest,
    line_of,
    read_enrolment,
    read_start_kit,
    sign_enrolment,
    tls_key_of,
    write,
)
from privacy.protocol.identity import check_certificate, make_request
from privacy.protocol.messages import COORDINATOR

SIGNING_KEY: Final = "signing.key"
NODE_KEY: Final = "node.key"
NODE_LINE: Final = "node.pub"
SITE_KEY: Final = "site.key"
TLS_KEY: Final = "tls.key"
ENROLMENT: Final = "enrolment.json"
SIMULATED_EPSILON: Final = "SIMULATED: the keys follow a known seed, so this epsilon protects nobody"
BOUND_TO_OLD_KEYS: Final = (
    "keys",
    ENROLMENT,
    "kit.json",
    "certificate.pem",
    "state",
    "state.sqlite",
    "spans.sqlite",
    "reports",
)


@dataclass(frozen=True)
class SiteIdentity:
    """Who a site is, to itself. Its secrets are hidden in its repr, and none of them is ever sent."""

    name: SiteId
    signing_key: SigningKey
    node_key: ec.EllipticCurvePrivateKey
    site_key: SecretSeed
    tls_key: ec.EllipticCurvePrivateKey
    enrolment: Enrolment
    kit: StartKit

    @property
    def simulated(self) -> bool:
        """True where the keys follow a known seed, so that the epsilon protects nobody."""
        return self.enrolment.simulated

    def __repr__(self) -> str:
        return f"SiteIdentity({self.name})"


def enroll(folder: SiteFolder, *, simulation: PublicSeed | None = None) -> Enrolment:
    """Make the site's keys where there are none, and its enrolment.json from its settings as they stand.

    A simulated folder gets new keys and loses its marker; what was bound to the old ones lies in `simulated-before/`
    afterwards. With a `simulation` seed the keys follow from it and the folder is marked. Raises SettingsError.
    """
    if folder.name == COORDINATOR:
        raise SettingsError(f"no site can be called {COORDINATOR}", next_step="choose another name")
    folder.create()
    if keys_are_known(folder) and simulation is None:
        _put_aside(folder)
        folder.create()
    if not any(folder.keys.iterdir()):
        _make_keys(folder, simulation)
    _check_kept(folder, simulation)
    if not (folder.keys / TLS_KEY).exists():  # the others were made before there was one
        write_secret(folder.keys / TLS_KEY, _pem(_curve_key(simulation, folder.name, "tls")))
    keys = _load_keys(folder)
    enrolment = sign_enrolment(_unsigned(folder, *keys), keys[0], keys[1])
    write(folder.home / ENROLMENT, enrolment)
    return enrolment


def bucket_advice(size_bucket: int) -> str | None:
    """What to say of a declared size that tells more than it must: a power of two tells the least that still weighs."""
    below = 1 << (size_bucket.bit_length() - 1)
    if size_bucket == below:
        return None
    return f"policy.size_bucket is {size_bucket}; a power of two, {below} or {2 * below}, would say less of your data."


def keys_are_known(folder: SiteFolder) -> bool:
    """True where the keys follow a known seed. The keys carry the mark too, so that they are known wherever they go."""
    return folder.simulated or (folder.keys / SIMULATED_MARKER).exists()


def _check_kept(folder: SiteFolder, simulation: PublicSeed | None) -> None:
    """A simulation uses no keys but those of its own seed: neither real ones nor another simulation's."""
    if simulation is None:
        return
    expected = SigningKey(_secret(simulation, folder.name, "signing")).verify_key().hex()
    stored_key = SigningKey.load(folder.keys / SIGNING_KEY).verify_key().hex()
    if not keys_are_known(folder) or stored_key != expected:
        raise SettingsError(
            f"{folder.name} has keys that do not follow this simulation's seed",
            next_step="simulate in a new folder; nothing was changed",
        )


def _put_aside(folder: SiteFolder) -> None:
    """Move what the known keys made out of the way; the marker goes last, so that a crash in between is tried again."""
    aside = Path(tempfile.mkdtemp(prefix="simulated-before-", dir=folder.home))
    for name in BOUND_TO_OLD_KEYS:
        for path in (folder.home / f"{name}{suffix}" for suffix in ("", "-wal", "-shm")):
            if path.exists():
                path.rename(aside / path.name)
    folder.simulated_marker.unlink(missing_ok=True)
    sync_folder(folder.home)


def _make_keys(folder: SiteFolder, simulation: PublicSeed | None) -> None:
    """All keys or none: they are written in a draft folder that takes the place of the empty one."""
    draft = Path(tempfile.mkdtemp(prefix=".keys-", dir=folder.home))
    try:
        SigningKey(_secret(simulation, folder.name, "signing")).save(draft / SIGNING_KEY)
        node = _curve_key(simulation, folder.name, "node")
        write_secret(draft / TLS_KEY, _pem(_curve_key(simulation, folder.name, "tls")))
        write_secret(draft / NODE_KEY, node.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        write_whole(draft / NODE_LINE, line_of(node.public_key()).encode() + b"\n")
        write_secret(draft / SITE_KEY, _secret(simulation, folder.name, "site").hex().encode() + b"\n")
        if simulation is not None:
            for marker in (folder.simulated_marker, draft / SIMULATED_MARKER):
                write_whole(marker, b"The keys of this site follow a known seed. To use it for real, enroll.\n")
        os.rename(draft, folder.keys)
        sync_folder(folder.home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _secret(simulation: PublicSeed | None, site: SiteId, purpose: str) -> bytes:
    if simulation is None:
        return secrets.token_bytes(SEED_BYTES)
    return simulation.derive(f"simulated site key|{site}|{purpose}").value


def _curve_key(simulation: PublicSeed | None, site: SiteId, purpose: str) -> ec.EllipticCurvePrivateKey:
    if simulation is None:
        return ec.generate_private_key(ec.SECP384R1())
    halves = _secret(simulation, site, f"{purpose}-1") + _secret(simulation, site, f"{purpose}-2")
    return ec.derive_private_key(int.from_bytes(halves[:47], "big") + 1, ec.SECP384R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _unsigned(
    folder: SiteFolder,
    signing_key: SigningKey,
    node_key: ec.EllipticCurvePrivateKey,
    site_key: SecretSeed,
    tls_key: ec.EllipticCurvePrivateKey,
) -> Enrolment:
    """What the site declares, from its keys and its settings as they stand."""
    return Enrolment(
        site=folder.name,
        role=folder.settings.site.role,
        size_bucket=folder.settings.policy.size_bucket,
        policy_digest=folder.settings.policy_digest,
        simulated=keys_are_known(folder),
        keys=KeySlots(
            signing=signing_key.verify_key().hex(),
            node=line_of(node_key.public_key()),
            tls=line_of(tls_key.public_key()),
        ),
        secret_key_commitment=site_key.commit(f"enrolment/v1|{folder.name}"),
        certificate_request=make_request(tls_key, folder.name, folder.settings.site.role),
        node_signature="",
        signature="",
    )


Keys = tuple[SigningKey, ec.EllipticCurvePrivateKey, SecretSeed, ec.EllipticCurvePrivateKey]


def _load_keys(folder: SiteFolder) -> Keys:
    """The four keys. Raises SettingsError when one is missing, is none, or others may read it."""
    if not (folder.keys / TLS_KEY).exists():
        raise SettingsError(
            f"{folder.name} has no TLS key: it enrolled before there was one",
            next_step=f"collab-client --site {folder.name} enroll (it keeps the others), and be admitted again",
        )
    try:
        node = load_ssh_private_key(read_secret(folder.keys / NODE_KEY), password=None)
        tls = load_pem_private_key(read_secret(folder.keys / TLS_KEY), password=None)
        signing_key = SigningKey.load(folder.keys / SIGNING_KEY)
        site_key = _load_site_key(folder)
    except (ValueError, TypeError):
        raise SettingsError(
            f"a key file of {folder.name} is damaged", next_step="restore the keys folder from its backup"
        ) from None
    if not isinstance(node, ec.EllipticCurvePrivateKey) or not isinstance(tls, ec.EllipticCurvePrivateKey):
        raise SettingsError(
            f"{NODE_KEY} or {TLS_KEY} holds no elliptic-curve key", next_step="restore it from its backup"
        )
    return signing_key, node, site_key, tls


def _load_site_key(folder: SiteFolder) -> SecretSeed:
    return SecretSeed(bytes.fromhex(read_secret(folder.keys / SITE_KEY).decode("ascii").strip()))


def join(folder: SiteFolder, kit: StartKit, *, now: datetime) -> None:
    """Keep `kit` (already read and checked, and its fingerprint confirmed) as the one coordinator that the site obeys.

    Raises PlanRefused when one side is simulated and the other is not, SettingsError when the site has not enrolled or
    has joined another coordinator, IntegrityError when the kit does not hold this site's enrolment exactly.
    """
    check_joinable(folder, kit, now=now)
    write(folder.kit, kit)
    folder.certificate.unlink(missing_ok=True)  # the kit's is the newer one, and may be of another role


def check_joinable(folder: SiteFolder, kit: StartKit, *, now: datetime) -> None:
    """Raises what `join` raises; changes nothing."""
    enrolment = own_enrolment(folder)
    if enrolment.simulated and not kit.simulated:
        raise PlanRefused(
            f"{folder.name} is a simulated site: its keys follow a known seed, so its epsilon would protect nobody",
            reason="policy",
            next_step=f"collab-client --site {folder.name} enroll, which makes new keys, and have them admitted",
        )
    if kit.simulated and not enrolment.simulated:
        raise PlanRefused(
            f"{kit.federation} is a simulated federation: {folder.name} would spend its budget for a rehearsal",
            reason="policy",
            next_step="ask the coordinator for a kit of a real federation",
        )
    if kit.enrolments.get(folder.name) != enrolment_digest(enrolment):
        raise IntegrityError(
            f"the start kit does not hold {folder.name}'s enrolment as it stands here",
            next_step="send enrolment.json to the coordinator, have it admitted, and join with the new kit",
        )
    if kit.roster[folder.name] != enrolment.roster_site():
        raise IntegrityError(
            f"the start kit's roster says something else of {folder.name} than its enrolment",
            next_step="tell the coordinator: this kit contradicts itself",
        )
    tls_key = tls_key_of(enrolment)
    check_certificate(kit.certificate, kit.ca_certificate, site=folder.name, role=enrolment.role, key=tls_key)
    _check_pinned(folder, kit, now=now)


def _check_pinned(folder: SiteFolder, kit: StartKit, *, now: datetime) -> None:
    """The coordinator, its log and its CA stay the same from kit to kit; roster and address may change."""
    if not folder.kit.exists():
        return
    old = stored_kit(folder, now=now)
    if (old.coordinator_key, old.log_vkey, old.ca_certificate) != (
        kit.coordinator_key,
        kit.log_vkey,
        kit.ca_certificate,
    ):
        raise SettingsError(
            f"{folder.name} has joined another coordinator, with other keys or another log",
            next_step="if that is meant, ask both of them, then move kit.json and state.sqlite away and join again",
        )


def site_key_if_any(folder: SiteFolder) -> SecretSeed | None:
    """The root of the site's secret streams, or None before it has enrolled."""
    if not (folder.keys / SITE_KEY).exists():
        return None
    try:
        return _load_site_key(folder)
    except ValueError:
        raise SettingsError(
            f"a key file of {folder.name} is damaged", next_step="restore the keys folder from its backup"
        ) from None


def own_enrolment(folder: SiteFolder) -> Enrolment:
    """The enrolment.json that this site made. Raises SettingsError when it has not enrolled."""
    path = folder.home / ENROLMENT
    if not path.exists():
        raise SettingsError(f"{folder.name} has not enrolled", next_step=f"collab-client --site {folder.name} enroll")
    return read_enrolment(path)


def stored_kit(folder: SiteFolder, *, now: datetime) -> StartKit:
    """The start kit that this site joined. Raises SettingsError when there is none, IntegrityError when expired."""
    if not folder.kit.exists():
        raise SettingsError(
            f"{folder.name} has joined no federation", next_step=f"collab-client --site {folder.name} join KIT"
        )
    return read_start_kit(folder.kit, now=now)


def load_identity(folder: SiteFolder, *, now: datetime) -> SiteIdentity:
    """All that makes the site itself, checked to belong together at `now` (UTC).

    Raises SettingsError when a part is missing, others may read a key, or the settings say something else than the
    enrolment; IntegrityError when keys, enrolment and kit do not match; PlanRefused when one side is simulated.
    """
    enrolment = own_enrolment(folder)
    keys = _load_keys(folder)
    _check_unchanged(folder, enrolment, _unsigned(folder, *keys))
    kit = stored_kit(folder, now=now)
    check_joinable(folder, kit, now=now)
    return SiteIdentity(folder.name, *keys, enrolment, kit)


def _check_unchanged(folder: SiteFolder, declared: Enrolment, current: Enrolment) -> None:
    """The enrolment still says what keys and settings say."""
    if (declared.keys, declared.secret_key_commitment) != (current.keys, current.secret_key_commitment):
        raise IntegrityError(
            f"the keys of {folder.name} are not those of its enrolment.json",
            next_step="restore both from one backup",
        )
    proofs = {"signature": "", "node_signature": "", "certificate_request": current.certificate_request}
    if declared.model_copy(update=proofs) != current:
        raise SettingsError(
            f"role, size bucket or policy of {folder.name} changed since it enrolled",
            next_step=f"collab-client --site {folder.name} enroll (it keeps the keys), and have it admitted again",
        )
