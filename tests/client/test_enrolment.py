# SPDX-License-Identifier: Apache-2.0
"""A site's keys are made at home and kept; it joins one coordinator, which holds its enrolment as it stands."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from client import enrolment
from client.settings.site_settings import SiteFolder
from coordinator import provision
from coordinator.folder import FederationFolder
from privacy.base.errors import IntegrityError, PlanRefused, SettingsError
from privacy.base.randomness import PublicSeed
from privacy.protocol.enrolment import StartKit, check_enrolment, read_enrolment, read_start_kit, sign_start_kit

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
SEED = PublicSeed.from_integer(7)
SITE = """
[site]
name = "{name}"
[data]
files = ["notes.csv"]
dataset = "notes"
[policy]
unit = "record"
epsilon_limit = 8.0
delta = 1e-5
size_bucket = {bucket}
"""


def site_folder(root: Path, name: str = "hospital_a", bucket: int = 512) -> SiteFolder:
    root.mkdir(exist_ok=True)
    toml = root / f"{name}.toml"
    toml.write_text(SITE.format(name=name, bucket=bucket))
    return SiteFolder(toml)


@pytest.fixture
def site(tmp_path: Path) -> SiteFolder:
    return site_folder(tmp_path / "sites")


@pytest.fixture
def federation(tmp_path: Path) -> FederationFolder:
    return provision.init(tmp_path / "lung", hosts=["localhost"], now=NOW)


def admitted(site: SiteFolder, federation: FederationFolder) -> StartKit:
    return provision.admit(federation, enrolment.enroll(site), now=NOW)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_keys_are_readable_by_their_owner_alone(site: SiteFolder) -> None:
    enrolment.enroll(site)
    assert stat.S_IMODE(site.keys.stat().st_mode) == stat.S_IMODE(site.home.stat().st_mode) == 0o700
    secret = {path.name: stat.S_IMODE(path.stat().st_mode) for path in site.keys.glob("*.key")}
    assert secret == {"node.key": 0o600, "signing.key": 0o600, "site.key": 0o600, "tls.key": 0o600}


def test_an_enrolment_holds_no_secret_and_proves_possession(site: SiteFolder) -> None:
    made = enrolment.enroll(site)
    check_enrolment(made)
    text = (site.home / "enrolment.json").read_text()
    assert read_enrolment(site.home / "enrolment.json") == made
    for name in ("signing.key", "site.key"):
        assert (site.keys / name).read_text().strip() not in text
    assert made.policy_digest == site.settings.policy_digest
    assert (made.size_bucket, made.simulated) == (512, False)


def test_the_node_key_is_what_flower_reads(site: SiteFolder) -> None:
    made = enrolment.enroll(site)
    key = load_ssh_private_key((site.keys / "node.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP384R1)
    assert (site.keys / "node.pub").read_text().strip() == made.keys.node


def test_two_sites_share_no_key(tmp_path: Path) -> None:
    one, two = (enrolment.enroll(site_folder(tmp_path / name)) for name in "ab")
    assert one.keys.signing != two.keys.signing
    assert one.keys.node != two.keys.node
    assert one.secret_key_commitment != two.secret_key_commitment


def test_to_enroll_again_keeps_the_keys_and_takes_the_new_facts(site: SiteFolder) -> None:
    first = enrolment.enroll(site)
    keys = contents(site.keys)
    again = enrolment.enroll(site_folder(site.toml.parent, bucket=1024))
    assert contents(site.keys) == keys
    assert again.keys == first.keys
    assert again.size_bucket == 1024


def test_a_site_from_before_keeps_its_keys_and_gets_the_new_one(site: SiteFolder, federation: FederationFolder) -> None:
    first = enrolment.enroll(site)
    (site.keys / "tls.key").unlink()
    kept = contents(site.keys)
    with pytest.raises(SettingsError, match="no TLS key") as caught:
        enrolment.load_identity(site, now=NOW)
    assert "enroll" in str(caught.value)
    assert enrolment.site_key_if_any(site) is not None  # what needs no network goes on
    again = enrolment.enroll(site)
    assert {name: data for name, data in contents(site.keys).items() if name != "tls.key"} == kept
    assert (again.keys.signing, again.keys.node) == (first.keys.signing, first.keys.node)
    assert again.keys.tls != first.keys.tls
    enrolment.join(site, provision.admit(federation, again, now=NOW), now=NOW)


def test_a_kit_with_another_sites_certificate_is_refused(
    site: SiteFolder, federation: FederationFolder, tmp_path: Path
) -> None:
    kit = admitted(site, federation)
    other = admitted(site_folder(tmp_path / "others", "hospital_b"), federation)
    ours = read_start_kit(federation.kits / "hospital_a.json", now=NOW)
    twisted = ours.model_copy(update={"certificate": other.certificate})
    with pytest.raises(IntegrityError, match="another site, role or key"):
        enrolment.join(site, sign_start_kit(twisted, federation.coordinator_key()), now=NOW)
    assert kit.certificate == ours.certificate


def test_a_size_that_is_no_power_of_two_is_advised_on() -> None:
    assert enrolment.bucket_advice(512) is enrolment.bucket_advice(1) is None
    assert "256 or 512" in str(enrolment.bucket_advice(300))


def test_keys_come_all_or_none(site: SiteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "write_whole", full_disk)
        with pytest.raises(OSError, match="No space"):
            enrolment.enroll(site)
    assert list(site.keys.iterdir()) == []
    assert not [path for path in site.home.iterdir() if path.name.startswith(".keys-")]
    enrolment.enroll(site)


def test_a_simulated_site_has_the_same_keys_each_time(tmp_path: Path) -> None:
    folders = [site_folder(tmp_path / name) for name in "ab"]
    one, two = (enrolment.enroll(folder, simulation=SEED) for folder in folders)
    assert one == two
    assert one.simulated
    assert folders[0].simulated
    other = enrolment.enroll(site_folder(tmp_path / "c", "hospital_b"), simulation=SEED)
    assert other.keys.signing != one.keys.signing
    assert other.keys.node != one.keys.node


def test_a_simulation_does_not_touch_real_keys_nor_those_of_another_seed(tmp_path: Path) -> None:
    real, rehearsed = site_folder(tmp_path / "a"), site_folder(tmp_path / "b")
    enrolment.enroll(real)
    enrolment.enroll(rehearsed, simulation=SEED)
    for folder in (real, rehearsed):
        before = contents(folder.keys)
        with pytest.raises(SettingsError, match="do not follow this simulation"):
            enrolment.enroll(folder, simulation=PublicSeed.from_integer(8))
        assert contents(folder.keys) == before


def test_to_enroll_makes_a_simulated_folder_real_and_keeps_its_ledger(site: SiteFolder) -> None:
    known = enrolment.enroll(site, simulation=SEED)
    for path in (site.ledger, site.state, site.spans, site.kit):
        path.write_bytes(b"from the simulation")
    real = enrolment.enroll(site)
    assert not real.simulated
    assert not site.simulated
    assert real.keys.signing != known.keys.signing
    assert real.secret_key_commitment != known.secret_key_commitment
    assert site.ledger.exists()
    assert not site.state.exists()
    assert not site.kit.exists()
    (aside,) = site.home.glob("simulated-before-*")
    assert (aside / "keys" / "site.key").exists()
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700


def test_known_keys_stay_known_where_the_folders_marker_was_lost(site: SiteFolder) -> None:
    enrolment.enroll(site, simulation=SEED)
    site.simulated_marker.unlink()
    assert enrolment.keys_are_known(site)
    assert not enrolment.enroll(site).simulated
    assert not enrolment.keys_are_known(site)
    assert (site.keys / "site.key").read_bytes() != next(site.home.glob("simulated-*/keys/site.key")).read_bytes()


def test_a_site_joins_the_coordinator_that_admitted_it(site: SiteFolder, federation: FederationFolder) -> None:
    enrolment.join(site, admitted(site, federation), now=NOW)
    identity = enrolment.load_identity(site, now=NOW)
    assert identity.kit == read_start_kit(site.kit, now=NOW)
    assert identity.signing_key.verify_key().hex() == identity.enrolment.keys.signing
    assert identity.site_key.commit("enrolment/v1|hospital_a") == identity.enrolment.secret_key_commitment
    assert repr(identity) == "SiteIdentity(hospital_a)"


def test_a_site_that_has_not_enrolled_or_joined_is_told_what_to_do(site: SiteFolder) -> None:
    with pytest.raises(SettingsError, match="has not enrolled") as caught:
        enrolment.load_identity(site, now=NOW)
    assert "collab-client --site hospital_a enroll" in str(caught.value)
    enrolment.enroll(site)
    with pytest.raises(SettingsError, match="has joined no federation"):
        enrolment.load_identity(site, now=NOW)


def test_a_kit_without_this_site_is_refused(site: SiteFolder, federation: FederationFolder, tmp_path: Path) -> None:
    enrolment.enroll(site)
    kit = admitted(site_folder(tmp_path / "others", "hospital_b"), federation)
    with pytest.raises(IntegrityError, match="does not hold hospital_a's enrolment"):
        enrolment.join(site, kit, now=NOW)
    assert not site.kit.exists()


def test_a_kit_that_holds_another_key_under_the_sites_name_is_refused(
    site: SiteFolder, federation: FederationFolder, tmp_path: Path
) -> None:
    enrolment.enroll(site)
    kit = admitted(site_folder(tmp_path / "intruder"), federation)
    with pytest.raises(IntegrityError, match="does not hold hospital_a's enrolment"):
        enrolment.join(site, kit, now=NOW)


def test_a_kit_whose_roster_contradicts_the_enrolment_is_refused(
    site: SiteFolder, federation: FederationFolder
) -> None:
    kit = admitted(site, federation)
    lowered = {"hospital_a": kit.roster["hospital_a"].model_copy(update={"size_bucket": 1})}
    twisted = sign_start_kit(kit.model_copy(update={"roster": lowered}), federation.coordinator_key())
    with pytest.raises(IntegrityError, match="something else of hospital_a"):
        enrolment.join(site, twisted, now=NOW)


def test_a_simulated_site_is_refused_in_a_real_federation_until_it_enrolls(
    site: SiteFolder, federation: FederationFolder
) -> None:
    kit = admitted(site, federation)
    site_of_simulation = site_folder(site.toml.parent.parent / "copied")
    enrolment.enroll(site_of_simulation, simulation=SEED)
    with pytest.raises(PlanRefused, match="known seed") as caught:
        enrolment.join(site_of_simulation, kit, now=NOW)
    assert caught.value.exit_code == 3
    assert "enroll" in str(caught.value)
    enrolment.enroll(site_of_simulation)
    (federation.roster / "hospital_a.json").unlink()
    enrolment.join(site_of_simulation, admitted(site_of_simulation, federation), now=NOW)


def test_a_real_site_is_not_spent_on_a_rehearsal(site: SiteFolder, tmp_path: Path) -> None:
    enrolment.enroll(site)
    rehearsal = provision.init(tmp_path / "rehearsal", hosts=["localhost"], now=NOW, simulation=SEED)
    other = site_folder(tmp_path / "others")
    kit = provision.admit(rehearsal, enrolment.enroll(other, simulation=SEED), now=NOW)
    with pytest.raises(PlanRefused, match="simulated federation"):
        enrolment.join(site, kit, now=NOW)
    enrolment.join(other, kit, now=NOW)
    assert enrolment.load_identity(other, now=NOW).simulated


def test_a_newer_kit_of_the_same_coordinator_replaces_the_old_one(
    site: SiteFolder, federation: FederationFolder, tmp_path: Path
) -> None:
    enrolment.join(site, admitted(site, federation), now=NOW)
    admitted(site_folder(tmp_path / "others", "hospital_b"), federation)
    enrolment.join(site, read_start_kit(federation.kits / "hospital_a.json", now=NOW), now=NOW)
    assert set(enrolment.stored_kit(site, now=NOW).roster) == {"hospital_a", "hospital_b"}


def test_a_kit_of_another_coordinator_is_refused_once_one_is_joined(
    site: SiteFolder, federation: FederationFolder, tmp_path: Path
) -> None:
    enrolment.join(site, admitted(site, federation), now=NOW)
    before = site.kit.read_bytes()
    other = provision.init(tmp_path / "other", hosts=["localhost"], now=NOW)
    with pytest.raises(SettingsError, match="another coordinator"):
        enrolment.join(site, admitted(site, other), now=NOW)
    assert site.kit.read_bytes() == before


def test_a_policy_changed_after_enrolment_is_told_before_any_round(
    site: SiteFolder, federation: FederationFolder
) -> None:
    enrolment.join(site, admitted(site, federation), now=NOW)
    changed = site_folder(site.toml.parent, bucket=64)
    with pytest.raises(SettingsError, match="changed since it enrolled"):
        enrolment.load_identity(changed, now=NOW)


def test_foreign_damaged_or_readable_keys_are_told(
    site: SiteFolder, federation: FederationFolder, tmp_path: Path
) -> None:
    enrolment.join(site, admitted(site, federation), now=NOW)
    other = site_folder(tmp_path / "others")
    enrolment.enroll(other)
    path = site.keys / "site.key"
    own = path.read_bytes()
    path.write_bytes((other.keys / "site.key").read_bytes())
    with pytest.raises(IntegrityError, match="not those of its enrolment"):
        enrolment.load_identity(site, now=NOW)
    for damaged in (b"", b"zz", own[:20], b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(SettingsError, match="damaged") as caught:
            enrolment.load_identity(site, now=NOW)
        assert own.decode()[:8] not in str(caught.value)
    path.write_bytes(own)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="others may read"):
        enrolment.load_identity(site, now=NOW)


def test_an_expired_ca_is_told_before_the_site_starts(site: SiteFolder, federation: FederationFolder) -> None:
    enrolment.join(site, admitted(site, federation), now=NOW)
    with pytest.raises(IntegrityError, match="CA certificate is valid from"):
        enrolment.load_identity(site, now=NOW + timedelta(days=3651))
