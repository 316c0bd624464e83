"""Certificates as an operator handles them: listed, renewed, handed on, brought along."""

import datetime
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.certificates import (
    Certificates,
    brought,
    export,
    held_certificates,
    renew,
    san_names,
)
from qstrata.network.pki import KmeIdentity, PkiPaths, client_context, ensure_pki, server_context

DAY_S = 86_400
NOW = int(time.time())
KMES = (KmeIdentity("a", "urn:qkd:lab:kme:a"), KmeIdentity("b", "urn:qkd:lab:kme:b"))
SAES = ("urn:qkd:lab:a:sae", "urn:qkd:lab:b:sae")


@pytest.fixture
def made(tmp_path: Path) -> PkiPaths:
    return ensure_pki(tmp_path, "lab", KMES, SAES, NOW, hosts=("kme.example.org", "192.0.2.7"))


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(path: Path) -> x509.SubjectAlternativeName:
    return certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_every_certificate_is_listed_with_name_purpose_validity_and_file(tmp_path, made):
    held = held_certificates(tmp_path, NOW)
    assert [(row.uri, row.purpose, row.state) for row in held] == [
        ("", "CA", "valid"),
        ("urn:qkd:lab:kme:a", "server", "valid"),
        ("urn:qkd:lab:kme:b", "server", "valid"),
        ("urn:qkd:lab:a:sae", "client", "valid"),
        ("urn:qkd:lab:b:sae", "client", "valid"),
    ]
    assert held[0].subject == "CN=qstrata demo CA of lab"
    for row in held:
        own = certificate(Path(row.file))
        assert datetime.datetime.fromisoformat(row.not_before) == own.not_valid_before_utc
        assert datetime.datetime.fromisoformat(row.not_after) == own.not_valid_after_utc


@pytest.mark.parametrize(("days", "state"), [(-2, "not yet valid"), (359, "ends soon"), (366, "expired")])
def test_a_certificate_that_does_not_hold_long_is_listed_so(tmp_path, made, days, state):
    assert held_certificates(tmp_path, NOW + days * DAY_S)[1].state == state


def test_a_file_that_is_no_certificate_is_listed_so(tmp_path, made):
    made.kmes[0].certificate.write_text("no PEM")
    assert "is not a certificate in PEM" in held_certificates(tmp_path, NOW)[1].state


def test_a_folder_without_certificates_is_told_with_the_cure(tmp_path):
    with pytest.raises(EnvironmentFaultError, match="`qstrata up` makes them"):
        held_certificates(tmp_path, NOW)


def test_renewal_makes_all_anew_under_the_same_ca_with_the_same_names(tmp_path, made):
    former = {at.name: certificate(at.certificate) for at in (made.ca, *made.kmes, *made.saes)}
    hosts = names(made.kmes[0].certificate)
    keys = [at.key.read_bytes() for at in (*made.kmes, *made.saes)]
    assert renew(tmp_path, NOW + DAY_S) == made
    assert certificate(made.ca.certificate) == former["ca"]
    assert names(made.kmes[0].certificate) == hosts
    for at, key in zip((*made.kmes, *made.saes), keys, strict=True):
        own = certificate(at.certificate)
        assert own.not_valid_after_utc == former[at.name].not_valid_after_utc + datetime.timedelta(days=1)
        assert own.serial_number != former[at.name].serial_number
        assert at.key.read_bytes() != key
        own.verify_directly_issued_by(former["ca"])


def test_what_was_renewed_is_kept_at_the_next_start(tmp_path, made):
    renew(tmp_path, NOW)
    before = [row.not_before for row in held_certificates(tmp_path, NOW)]
    ensure_pki(tmp_path, "lab", KMES, SAES, NOW + 10, hosts=("kme.example.org", "192.0.2.7"))
    assert [row.not_before for row in held_certificates(tmp_path, NOW)] == before


def test_certificates_of_somebody_elses_ca_are_not_renewed(tmp_path, made):
    made.ca.key.unlink()
    with pytest.raises(InputError, match="have its owner renew"):
        renew(tmp_path, NOW)


def test_host_names_and_addresses_are_certified(made):
    held = names(made.kmes[0].certificate)
    assert held.get_values_for_type(x509.DNSName) == ["localhost", "kme.example.org"]
    addresses = [str(address) for address in held.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "192.0.2.7"]


@pytest.mark.parametrize("name", ["", "a b", "x" * 254, "https://x", "-x", "x/y"])
def test_what_is_no_host_name_is_refused(name):
    with pytest.raises(InputError, match="no host name or address"):
        san_names((name,))
    assert san_names(("kme.example.org", "::1", "kme.example.org")) == ("kme.example.org", "::1")


def test_an_export_is_whole_private_and_replaces_nothing(tmp_path, made):
    folder = tmp_path / "mine"
    files = export(made.saes[0], made.ca.certificate, folder)
    assert [file.name for file in files] == ["a.sae.pem", "a.sae.key", "ca.pem"]
    for file, source in zip(
        files, (made.saes[0].certificate, made.saes[0].key, made.ca.certificate), strict=True
    ):
        assert file.read_bytes() == source.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(InputError, match=r"a\.sae\.pem.* is there already"):
        export(made.saes[0], made.ca.certificate, folder)


def taken(folder: Path, ca: Path | None = None, now: int = NOW) -> PkiPaths:
    return brought(Certificates(folder=folder, ca=ca), KMES, SAES, now)


def test_certificates_that_were_brought_along_are_used_where_they_are(tmp_path, made):
    made.ca.key.unlink()
    made.saes[1].certificate.unlink()
    paths = taken(tmp_path)
    assert paths == made
    server_context(paths.kmes[0], paths.ca.certificate)
    client_context(paths.saes[0], paths.ca.certificate)


def test_certificates_that_were_brought_along_are_found_from_everywhere(tmp_path, made, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    assert taken(Path(tmp_path.name), Path(tmp_path.name, "ca.pem")) == made


def test_a_ca_may_lie_elsewhere(tmp_path, made):
    elsewhere = tmp_path / "authority.pem"
    made.ca.certificate.rename(elsewhere)
    assert taken(tmp_path, elsewhere).ca.certificate == elsewhere
    with pytest.raises(EnvironmentFaultError, match=r"ca\.pem cannot be read"):
        taken(tmp_path)


def lose(made: PkiPaths, other: PkiPaths) -> None:
    made.kmes[0].certificate.unlink()


def lose_key(made: PkiPaths, other: PkiPaths) -> None:
    made.kmes[0].key.unlink()


def open_key(made: PkiPaths, other: PkiPaths) -> None:
    made.kmes[0].key.chmod(0o644)


def swap_key(made: PkiPaths, other: PkiPaths) -> None:
    made.kmes[0].key.write_bytes(made.kmes[1].key.read_bytes())


def lock_key(made: PkiPaths, other: PkiPaths) -> None:
    key = serialization.load_pem_private_key(made.kmes[0].key.read_bytes(), password=None)
    locked = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    made.kmes[0].key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))


def take_clients(made: PkiPaths, other: PkiPaths) -> None:
    for part in ("certificate", "key"):
        getattr(made.kmes[0], part).write_bytes(getattr(made.saes[0], part).read_bytes())


def take_other_kmes(made: PkiPaths, other: PkiPaths) -> None:
    for part in ("certificate", "key"):
        getattr(made.kmes[0], part).write_bytes(getattr(made.kmes[1], part).read_bytes())


def take_other_ca(made: PkiPaths, other: PkiPaths) -> None:
    made.ca.certificate.write_bytes(other.ca.certificate.read_bytes())


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose, "cannot be read"),
        (lose_key, "cannot be read"),
        (open_key, "can be read by others: run `chmod 600"),
        (swap_key, "is that of another certificate"),
        (lock_key, "is not an unencrypted private key"),
        (take_clients, "not for servers.*serverAuth"),
        (take_other_kmes, "it names urn:qkd:lab:kme:b, not urn:qkd:lab:kme:a"),
        (take_other_ca, "did not sign it"),
    ],
)
def test_what_does_not_hold_of_what_was_brought_is_told(
    tmp_path: Path, made: PkiPaths, harm: Callable[[PkiPaths, PkiPaths], None], said: str
) -> None:
    harm(made, ensure_pki(tmp_path / "other", "lab", KMES, SAES, NOW))
    with pytest.raises(InputError, match=said):
        taken(tmp_path)


def test_all_that_does_not_hold_is_told_at_once(tmp_path, made):
    with pytest.raises(InputError) as refusal:
        taken(tmp_path, now=NOW + 400 * DAY_S)
    assert str(refusal.value).count("it is expired") == len(KMES)


def test_a_chain_over_an_intermediate_ca_leads_to_the_ca_that_was_given(tmp_path):
    root = ensure_pki(tmp_path / "root", "root", (), (), NOW)
    key = serialization.load_pem_private_key(root.ca.key.read_bytes(), password=None)
    below = ensure_pki(tmp_path / "below", "lab", KMES, SAES, NOW)
    inner = certificate(below.ca.certificate)
    signed = (
        x509.CertificateBuilder()
        .subject_name(inner.subject)
        .issuer_name(certificate(root.ca.certificate).subject)
        .public_key(inner.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(inner.not_valid_before_utc)
        .not_valid_after(inner.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, inner.signature_hash_algorithm)
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    for at in below.kmes:
        at.certificate.write_bytes(at.certificate.read_bytes() + pem)
    assert taken(tmp_path / "below", root.ca.certificate).kmes == below.kmes
    for at in below.kmes:
        usage = certificate(at.certificate).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert ExtendedKeyUsageOID.SERVER_AUTH in usage
