# SPDX-License-Identifier: Apache-2.0
"""A federation's folder comes whole or not at all, keeps its keys to itself, and admits only who it should."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coordinator import certificates, provision
from coordinator.folder import FederationFolder
from privacy.base.errors import CollabError, ContractError, IntegrityError, SettingsError
from privacy.base.randomness import PublicSeed
from privacy.log.keys import SigningKey, VerifyKey
from privacy.protocol.enrolment import (
    Enrolment,
    KeySlots,
    check_enrolment,
    check_start_kit,
    encode,
    enrolment_digest,
    line_of,
    read_enrolment,
    read_start_kit,
    sign_enrolment,
    sign_start_kit,
)
from privacy.protocol.identity import make_request

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
SEED = PublicSeed.from_integer(7)


@pytest.fixture
def folder(tmp_path: Path) -> FederationFolder:
    return provision.init(tmp_path / "lung", hosts=["localhost", "127.0.0.1"], now=NOW)


def node_line(curve: ec.EllipticCurve | None = None) -> str:
    key = ec.generate_private_key(curve or ec.SECP384R1()).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def enrolment(
    site: str = "hospital_a",
    key: SigningKey | None = None,
    node: ec.EllipticCurvePrivateKey | None = None,
    **changes: object,
) -> Enrolment:
    key = key or SigningKey.generate()
    node, tls = node or ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    facts: dict[str, object] = {
        "site": site,
        "role": "trainer",
        "size_bucket": 512,
        "policy_digest": "ab" * 32,
        "simulated": False,
        "keys": KeySlots(
            signing=key.verify_key().hex(), node=line_of(node.public_key()), tls=line_of(tls.public_key())
        ),
        "secret_key_commitment": key.sign("test", b"commitment").hex()[:64],
        "certificate_request": make_request(tls, site, "trainer"),
        "node_signature": "",
        "signature": "",
    }
    return sign_enrolment(Enrolment.model_validate(facts | changes), key, node)


def test_every_private_key_is_readable_by_its_owner_alone(folder: FederationFolder) -> None:
    secret = [*folder.keys.iterdir(), folder.pki / certificates.CA_KEY, folder.pki / certificates.SERVER_KEY]
    assert len(secret) == 4
    assert [stat.S_IMODE(path.stat().st_mode) for path in secret] == [0o600] * 4
    assert stat.S_IMODE(folder.keys.stat().st_mode) == stat.S_IMODE(folder.pki.stat().st_mode) == 0o700


def test_init_writes_settings_that_explain_themselves_and_an_origin_that_is_the_name(folder: FederationFolder) -> None:
    text = folder.toml.read_text()
    assert "# TCP port" in text
    assert folder.settings.run.name == "lung" == folder.name
    assert folder.log_vkey.read_text().startswith("collab/lung+")
    assert not folder.simulated


def test_init_never_writes_over_a_folder(folder: FederationFolder) -> None:
    before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match="not an empty folder"):
        provision.init(folder.root, hosts=["localhost"], now=NOW)
    assert before == {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}


def test_a_failed_init_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(certificates, "make_server", full_disk)
    with pytest.raises(OSError, match="No space"):
        provision.init(tmp_path / "lung", hosts=["localhost"], now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_no_host_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for hosts in ([], ["not a host"], ["-dash.example"], ["a..b"], ["*.example.org"]):
        with pytest.raises(SettingsError):
            provision.init(tmp_path / "lung", hosts=hosts, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_simulated_federation_has_the_same_keys_each_time_and_says_so(tmp_path: Path) -> None:
    one, two = (provision.init(tmp_path / name, hosts=["localhost"], now=NOW, simulation=SEED) for name in "ab")
    assert one.simulated
    assert one.coordinator_key().verify_key().hex() == two.coordinator_key().verify_key().hex()
    assert one.log_key().verify_key().hex() != one.coordinator_key().verify_key().hex()


def test_an_admitted_site_gets_a_signed_kit_that_names_it_and_every_other(folder: FederationFolder) -> None:
    first, second = enrolment("hospital_a"), enrolment("clinic_b", role="evaluator")
    provision.admit(folder, first, now=NOW)
    kit = provision.admit(folder, second, now=NOW)
    kits = [read_start_kit(folder.kits / f"{site}.json", now=NOW) for site in ("clinic_b", "hospital_a")]
    assert kit == kits[0]
    own = {"certificate", "signature"}
    assert kits[0].model_dump(exclude=own) == kits[1].model_dump(exclude=own)
    assert kits[0].certificate != kits[1].certificate
    assert kit.address == "localhost:9443"
    assert kit.roster == {"clinic_b": second.roster_site(), "hospital_a": first.roster_site()}
    assert kit.enrolments["hospital_a"] == enrolment_digest(first)
    assert list(provision.roster(folder)) == ["clinic_b", "hospital_a"]
    assert kit.log_key().key.hex() == folder.log_key().verify_key().hex()


def test_no_secret_is_in_a_kit_or_a_roster(folder: FederationFolder) -> None:
    provision.admit(folder, enrolment(), now=NOW)
    secrets = [path.read_text().strip() for path in folder.keys.iterdir()]
    for public in [*folder.kits.iterdir(), *folder.roster.iterdir(), folder.log_vkey]:
        text = public.read_text()
        assert "PRIVATE" not in text
        assert not any(secret in text for secret in secrets)


@pytest.mark.parametrize(
    "change",
    [{"size_bucket": 4096}, {"role": "evaluator"}, {"policy_digest": "cd" * 32}, {"site": "hospital_b"}],
    ids=lambda change: next(iter(change)),
)
def test_an_altered_enrolment_is_refused_and_nothing_is_written(
    folder: FederationFolder, change: dict[str, object]
) -> None:
    altered = enrolment().model_copy(update=change)
    with pytest.raises(IntegrityError, match="altered"):
        provision.admit(folder, altered, now=NOW)
    assert not list(folder.roster.iterdir())
    assert not list(folder.kits.iterdir())


def test_every_key_of_an_enrolment_proves_that_the_site_holds_it(folder: FederationFolder) -> None:
    """A node key or a TLS key copied from another site's enrolment is none of the thief's."""
    theirs, key, node = enrolment("hospital_b"), SigningKey.generate(), ec.generate_private_key(ec.SECP384R1())
    mine = enrolment("hospital_a", key, node)
    assert sign_enrolment(mine, key, node) == mine
    for stolen in ("node", "tls"):
        slots = mine.keys.model_copy(update={stolen: getattr(theirs.keys, stolen)})
        for request in (mine.certificate_request, theirs.certificate_request):
            claimed = {"keys": slots, "certificate_request": request}
            with pytest.raises(IntegrityError):
                provision.admit(folder, sign_enrolment(mine.model_copy(update=claimed), key, node), now=NOW)
    assert not list(folder.roster.iterdir())
    assert not list(folder.door.iterdir())


@pytest.mark.parametrize(
    "point",
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ],
)
def test_a_signing_key_with_which_one_signature_would_hold_for_all_is_no_key(point: str) -> None:
    with pytest.raises(SettingsError):
        VerifyKey.from_hex(point)
    trivial = enrolment().model_copy(update={"signature": "01" + "00" * 63})
    slots = trivial.keys.model_copy(update={"signing": point})
    with pytest.raises(IntegrityError):
        check_enrolment(trivial.model_copy(update={"keys": slots}))


def test_a_size_bucket_is_bounded() -> None:
    assert enrolment(size_bucket=1 << 24).size_bucket == 1 << 24
    with pytest.raises(ValueError, match="size_bucket"):
        enrolment(size_bucket=(1 << 24) + 1)


def test_an_enrolment_signed_by_another_key_is_refused(tmp_path: Path) -> None:
    forged = enrolment().model_copy(update={"signature": enrolment(site="other").signature})
    (tmp_path / "enrolment.json").write_bytes(encode(forged))
    with pytest.raises(IntegrityError) as caught:
        read_enrolment(tmp_path / "enrolment.json")
    assert caught.value.exit_code == 4
    assert caught.value.next_step


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"\xff\xfe", b"[]", b"null", b"x" * (5 << 20), b'{"site": "a", "site": "b"}'],
    ids=["empty", "no fields", "no text", "a list", "null", "too long", "twice"],
)
def test_a_file_that_is_no_enrolment_is_refused_with_a_next_step(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "enrolment.json").write_bytes(data)
    with pytest.raises(ContractError) as caught:
        read_enrolment(tmp_path / "enrolment.json")
    assert caught.value.next_step


def test_only_the_one_canonical_encoding_is_read(tmp_path: Path) -> None:
    path = tmp_path / "enrolment.json"
    path.write_text(json.dumps(json.loads(encode(enrolment())), indent=1))
    with pytest.raises(ContractError, match="canonical"):
        read_enrolment(path)


@pytest.mark.parametrize(
    "line", ["ssh-ed25519 AAAA", "", "nonsense", node_line(ec.SECP256R1()), node_line() + " me@here"]
)
def test_a_node_key_that_flower_would_not_take_as_it_stands_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="node"):
        KeySlots(signing="00" * 32, node=line, tls=node_line())


def test_a_key_slot_that_this_version_does_not_know_is_refused_rather_than_ignored() -> None:
    with pytest.raises(ValueError, match="witness"):
        KeySlots.model_validate({"signing": "00" * 32, "node": node_line(), "tls": node_line(), "witness": "00" * 32})


def test_a_name_belongs_to_the_first_key_admitted_under_it(folder: FederationFolder) -> None:
    first = enrolment("hospital_a")
    provision.admit(folder, first, now=NOW)
    with pytest.raises(SettingsError, match="another signing key") as caught:
        provision.admit(folder, enrolment("hospital_a"), now=NOW)
    assert "roster/hospital_a.json" in str(caught.value)
    assert provision.roster(folder) == {"hospital_a": first}


def test_a_site_comes_again_with_the_same_key_and_new_facts(folder: FederationFolder) -> None:
    key = SigningKey.generate()
    provision.admit(folder, enrolment(key=key), now=NOW)
    kit = provision.admit(folder, enrolment(key=key, size_bucket=1024), now=NOW)
    assert kit.roster["hospital_a"].size_bucket == 1024


def test_two_sites_do_not_share_a_key(folder: FederationFolder) -> None:
    key = SigningKey.generate()
    provision.admit(folder, enrolment("hospital_a", key), now=NOW)
    with pytest.raises(SettingsError, match="also a key of hospital_a"):
        provision.admit(folder, enrolment("hospital_b", key), now=NOW)


def test_no_site_is_called_coordinator(folder: FederationFolder) -> None:
    with pytest.raises(SettingsError, match="can be called"):
        provision.admit(folder, enrolment("coordinator"), now=NOW)


def test_a_simulated_site_is_not_admitted_to_a_real_federation_nor_the_other_way_round(
    folder: FederationFolder, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="follow a known seed"):
        provision.admit(folder, enrolment(simulated=True), now=NOW)
    rehearsal = provision.init(tmp_path / "rehearsal", hosts=["localhost"], now=NOW, simulation=SEED)
    with pytest.raises(SettingsError, match="follow a known seed"):
        provision.admit(rehearsal, enrolment(), now=NOW)
    assert provision.admit(rehearsal, enrolment(simulated=True), now=NOW).simulated


def test_a_roster_file_that_was_altered_or_renamed_is_told(folder: FederationFolder) -> None:
    provision.admit(folder, enrolment("hospital_a"), now=NOW)
    path = folder.roster / "hospital_a.json"
    path.rename(folder.roster / "hospital_b.json")
    with pytest.raises(IntegrityError, match="another site"):
        provision.roster(folder)
    (folder.roster / "hospital_b.json").rename(path)
    path.write_bytes(path.read_bytes().replace(b'"size_bucket":512', b'"size_bucket":513'))
    with pytest.raises(IntegrityError, match="altered"):
        provision.roster(folder)


@pytest.mark.parametrize(
    "change",
    [{"address": "evil.example:9443"}, {"roster": {}, "enrolments": {}}, {"simulated": True}],
    ids=lambda change: next(iter(change)),
)
def test_an_altered_kit_is_refused(folder: FederationFolder, change: dict[str, object]) -> None:
    kit = provision.admit(folder, enrolment(), now=NOW)
    with pytest.raises(IntegrityError, match="altered"):
        check_start_kit(kit.model_copy(update=change), now=NOW)


def test_a_signature_for_an_enrolment_is_none_for_a_kit(folder: FederationFolder) -> None:
    kit = provision.admit(folder, enrolment(), now=NOW)
    other = SigningKey.generate()
    with pytest.raises(ContractError, match="signed by the key"):
        sign_start_kit(kit, other)
    with pytest.raises(IntegrityError):
        check_start_kit(kit.model_copy(update={"coordinator_key": other.verify_key().hex()}), now=NOW)


def test_a_kit_with_a_log_key_of_another_log_is_refused(folder: FederationFolder, tmp_path: Path) -> None:
    kit = provision.admit(folder, enrolment(), now=NOW)
    other = provision.init(tmp_path / "other", hosts=["localhost"], now=NOW)
    foreign = kit.model_copy(update={"log_vkey": other.log_vkey.read_text().strip()})
    with pytest.raises(IntegrityError, match="another log"):
        check_start_kit(sign_start_kit(foreign, folder.coordinator_key()), now=NOW)


def test_a_kit_whose_ca_has_expired_is_refused_and_says_when(folder: FederationFolder) -> None:
    kit = provision.admit(folder, enrolment(), now=NOW)
    with pytest.raises(IntegrityError, match="2040") as caught:
        check_start_kit(kit, now=NOW + timedelta(days=3651))
    assert "clock" in str(caught.value)
    with pytest.raises(IntegrityError):
        check_start_kit(kit, now=NOW - timedelta(days=1))


def test_an_expired_server_certificate_is_told_and_renewed_without_new_kits(folder: FederationFolder) -> None:
    provision.admit(folder, enrolment(), now=NOW)
    kits = {path: path.read_bytes() for path in folder.kits.iterdir()}
    key = (folder.pki / certificates.SERVER_KEY).read_bytes()
    later = NOW + timedelta(days=398)
    with pytest.raises(IntegrityError, match="expired on 2031") as caught:
        certificates.check(folder.pki, now=later)
    assert "collab-coordinator renew" in str(caught.value)
    certificates.renew_server(folder.pki, now=later)
    assert certificates.check(folder.pki, now=later) > later
    assert certificates.hosts(folder.pki) == ["localhost", "127.0.0.1"]
    assert (folder.pki / certificates.SERVER_KEY).read_bytes() == key
    assert kits == {path: path.read_bytes() for path in folder.kits.iterdir()}


def test_a_foreign_server_certificate_or_key_is_told(folder: FederationFolder, tmp_path: Path) -> None:
    other = provision.init(tmp_path / "other", hosts=["localhost"], now=NOW)
    mine = (folder.pki / certificates.SERVER_CERTIFICATE).read_bytes()
    (folder.pki / certificates.SERVER_CERTIFICATE).write_bytes(
        (other.pki / certificates.SERVER_CERTIFICATE).read_bytes()
    )
    with pytest.raises(IntegrityError, match="not issued by this federation"):
        certificates.check(folder.pki, now=NOW)
    (folder.pki / certificates.SERVER_CERTIFICATE).write_bytes(mine)
    (folder.pki / certificates.SERVER_KEY).write_bytes((other.pki / certificates.SERVER_KEY).read_bytes())
    with pytest.raises(IntegrityError, match="another key"):
        certificates.check(folder.pki, now=NOW)


def test_a_key_that_others_may_read_is_refused(folder: FederationFolder) -> None:
    for path in (folder.keys / "coordinator.key", folder.pki / certificates.SERVER_KEY):
        path.chmod(0o644)
        with pytest.raises(CollabError, match="others may read"):
            folder.coordinator_key() if path.parent == folder.keys else certificates.check(folder.pki, now=NOW)


def test_an_ipv6_host_stands_in_brackets(tmp_path: Path) -> None:
    folder = provision.init(tmp_path / "six", hosts=["::1"], now=NOW)
    assert provision.admit(folder, enrolment(), now=NOW).address == "[::1]:9443"
    assert folder.settings.network.host == "127.0.0.1"
