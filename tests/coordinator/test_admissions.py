# SPDX-License-Identifier: Apache-2.0
"""The door opens to the certificates in one folder, until they end or are taken away; nothing else opens it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from coordinator import admissions, certificates
from coordinator.admissions import Admitted
from coordinator.wire.door import Room
from privacy.base.errors import IntegrityError, SettingsError
from privacy.log.keys import SigningKey
from privacy.protocol.enrolment import Enrolment, KeySlots, line_of
from privacy.protocol.identity import check_certificate, make_request, requested_key

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def enrolment(site: str = "hospital_a", key: ec.EllipticCurvePrivateKey | None = None, **facts: object) -> Enrolment:
    """What let_in reads of one; its signatures were checked before."""
    node = ec.generate_private_key(ec.SECP384R1()).public_key()
    tls = (key or ec.generate_private_key(ec.SECP384R1())).public_key()
    signing = SigningKey.generate().verify_key().hex()
    plain = {
        "site": site,
        "role": "trainer",
        "size_bucket": 64,
        "policy_digest": "9" * 64,
        "simulated": False,
        "keys": KeySlots(signing=signing, node=line_of(node), tls=line_of(tls)),
        "secret_key_commitment": "8" * 64,
        "certificate_request": "",
        "node_signature": "",
        "signature": "",
    }
    return Enrolment.model_validate(plain | facts)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    folder = tmp_path / "pki"
    folder.mkdir(mode=0o700)
    certificates.make_authority(folder, "lung", now=NOW)
    return folder


@pytest.fixture
def door(tmp_path: Path) -> Path:
    return tmp_path / "door"


def test_a_certificate_opens_the_door_while_it_lives(pki: Path, door: Path) -> None:
    issued = admissions.let_in(door, pki, enrolment(), now=NOW)
    listed = Admitted(door)
    life = certificates.SITE_DAYS * DAY
    for at, opens in ((timedelta(0), True), (life, True), (life + DAY, False), (-DAY, False)):
        assert (listed.site_of(issued.holder, now=NOW + at) == "hospital_a") == opens
    assert (door.stat().st_mode & 0o777, (door / "hospital_a.pem").stat().st_mode & 0o777) == (0o700, 0o600)


def test_what_is_not_in_the_folder_opens_nothing_and_a_change_is_seen_at_once(pki: Path, door: Path) -> None:
    listed = Admitted(door)
    issued = [admissions.let_in(door, pki, enrolment(site), now=NOW) for site in ("hospital_a", "hospital_b")]
    assert [listed.site_of(one.holder, now=NOW) for one in issued] == ["hospital_a", "hospital_b"]
    admissions.revoke(door, pki, "hospital_a", now=NOW)
    assert [listed.site_of(one.holder, now=NOW) for one in issued] == [None, "hospital_b"]
    assert listed.newest("hospital_a") == ""
    again = admissions.let_in(door, pki, enrolment(), now=NOW)
    assert [listed.site_of(one.holder, now=NOW) for one in (*issued, again)] == [None, "hospital_b", "hospital_a"]
    assert [line["site"] for line in admissions.revoked(pki)] == ["hospital_a"]
    (door / "hospital_b.pem").write_bytes(b"nonsense")
    (door / "hospital_a.pem").replace(door / "hospital_c.pem")  # one site's under another's name
    assert [listed.site_of(one.holder, now=NOW) for one in (*issued, again)] == [None, None, None]
    for site in ("hospital_b", "hospital_c"):
        with pytest.raises(IntegrityError):
            admissions.issued(door, site)
    with pytest.raises(SettingsError, match="no certificate"):
        admissions.revoke(door, pki, "hospital_x", now=NOW)


def test_a_renewal_comes_at_half_a_life_for_the_same_key_and_leaves_the_old_one(pki: Path, door: Path) -> None:
    mine = enrolment()
    first = admissions.let_in(door, pki, mine, now=NOW)
    for days in (0, 14):
        assert admissions.certificate_for(door, pki, mine, now=NOW + days * DAY) == first
    second = admissions.certificate_for(door, pki, mine, now=NOW + 16 * DAY)
    assert second is not None
    assert second.holder.valid_until > first.holder.valid_until
    listed = Admitted(door)
    assert [listed.site_of(one.holder, now=NOW + 16 * DAY) for one in (first, second)] == ["hospital_a"] * 2
    assert listed.newest("hospital_a") == second.pem
    admissions.revoke(door, pki, "hospital_a", now=NOW)
    assert admissions.certificate_for(door, pki, mine, now=NOW + 16 * DAY) is None
    assert listed.site_of(first.holder, now=NOW + 16 * DAY) is listed.site_of(second.holder, now=NOW) is None


def test_an_enrolment_with_another_key_or_role_closes_what_the_old_one_opened(pki: Path, door: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    listed = Admitted(door)
    first = admissions.let_in(door, pki, enrolment(key=key), now=NOW)
    role = admissions.let_in(door, pki, enrolment(key=key, role="evaluator"), now=NOW)
    assert [listed.site_of(one.holder, now=NOW) for one in (first, role)] == [None, "hospital_a"]
    other = admissions.let_in(door, pki, enrolment(role="evaluator"), now=NOW)
    assert [listed.site_of(one.holder, now=NOW) for one in (first, role, other)] == [None, None, "hospital_a"]


def test_a_certificate_is_for_one_site_role_key_and_ca(pki: Path, door: Path, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    certificates.make_authority(other, "lung", now=NOW)
    ours, theirs = ((folder / certificates.CA_CERTIFICATE).read_text() for folder in (pki, other))
    pem = admissions.let_in(door, pki, enrolment(key=key), now=NOW).pem
    public, stranger = key.public_key(), ec.generate_private_key(ec.SECP384R1()).public_key()
    assert check_certificate(pem, ours, site="hospital_a", role="trainer", key=public).site == "hospital_a"
    with pytest.raises(IntegrityError, match="not issued"):
        check_certificate(pem, theirs, site="hospital_a", role="trainer", key=public)
    with pytest.raises(IntegrityError, match="another site, role or key"):
        check_certificate(pem, ours, site="hospital_b", role="trainer", key=public)
    with pytest.raises(IntegrityError, match="another site, role or key"):
        check_certificate(pem, ours, site="hospital_a", role="evaluator", key=public)
    with pytest.raises(IntegrityError, match="another site, role or key"):
        check_certificate(pem, ours, site="hospital_a", role="trainer", key=stranger)


def test_a_request_is_signed_by_its_own_key_for_its_own_site() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    request = make_request(key, "hospital_a", "trainer")
    assert requested_key(request, "hospital_a") == key.public_key()
    assert make_request(key, "hospital_a", "trainer") == request
    with pytest.raises(IntegrityError, match="not that of hospital_b"):
        requested_key(request, "hospital_b")
    weak = make_request(ec.generate_private_key(ec.SECP256R1()), "hospital_a", "trainer")
    lines = request.splitlines()
    other = make_request(ec.generate_private_key(ec.SECP384R1()), "hospital_a", "trainer").splitlines()
    spliced = "\n".join([*lines[:5], *other[5:]])  # one's key under another's signature
    for bad in ("", "nonsense", weak, spliced):
        with pytest.raises(IntegrityError, match="P-384 key signed"):
            requested_key(bad, "hospital_a")


def test_a_crowd_displaces_itself_and_nobody_else() -> None:
    room = Room(10)
    assert [room.add(f"honest {number}", "10.0.0.1") for number in range(3)] == [None] * 3
    left = [room.add(f"hostile {number}", "10.0.0.2") for number in range(1000)]
    assert left[:7] == [None] * 7
    assert left[7:] == [f"hostile {number}" for number in range(993)]
    assert len(room) == 10
    room.remove("honest 1")
    room.remove("honest 1")
    assert room.add("late", "10.0.0.3") is None
    assert room.add("later", "10.0.0.3") == "hostile 993"
