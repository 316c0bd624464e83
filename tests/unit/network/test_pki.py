import datetime
import ssl
import stat
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qstrata.core.errors import EnvironmentFaultError, InputError, RefusedError
from qstrata.network.pki import (
    CertificatePaths,
    KmeIdentity,
    client_context,
    ensure_pki,
    identity_of,
    peer_identity,
    server_context,
    slug,
)

DAY_S = 86_400
NOW = int(time.time())
KMES = (KmeIdentity("a", "urn:qkd:lab:kme:a"), KmeIdentity("b", "urn:qkd:lab:kme:b"))
SAES = ("urn:qkd:lab:a:sae", "urn:qkd:lab:b:sae")
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
URN = x509.UniformResourceIdentifier("urn:qkd:lab:a:sae")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return folder, ensure_pki(folder, "lab", KMES, SAES, NOW)


def certificate(paths) -> x509.Certificate:
    return x509.load_pem_x509_certificate(paths.certificate.read_bytes())


def bytes_of(paths) -> list[bytes]:
    every = (paths.ca, *paths.kmes, *paths.saes)
    return [path.read_bytes() for pair in every for path in (pair.certificate, pair.key)]


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> ssl.SSLObject:
    """Run a TLS handshake in memory and return the server's side of it."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=host),
        server.wrap_bio(up, down, server_side=True),
    ]
    waiting = ends
    for _ in range(10):
        still = []
        for end in waiting:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                still.append(end)
        waiting = still
    assert not waiting
    return ends[1]


def test_files_lie_by_site_and_by_name(made):
    folder, paths = made
    assert [
        pair.certificate.relative_to(folder).as_posix() for pair in (paths.ca, *paths.kmes, *paths.saes)
    ] == [
        "ca.pem",
        "kme/a.pem",
        "kme/b.pem",
        "sae/a.sae.pem",
        "sae/b.sae.pem",
    ]
    assert paths.of(SAES[1]) == paths.saes[1]
    with pytest.raises(InputError, match="no certificate for urn:qkd:lab:c:sae"):
        paths.of("urn:qkd:lab:c:sae")


def test_only_the_owner_can_read_a_key(made):
    _, paths = made
    for pair in (paths.ca, *paths.kmes, *paths.saes):
        assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_kme_and_an_sae_shake_hands_and_the_sae_is_known_by_its_name(made, host):
    _, paths = made
    server = server_context(paths.kmes[0], paths.ca.certificate)
    client = client_context(paths.saes[1], paths.ca.certificate)
    for context in (server, client):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert peer_identity(handshake(server, client, host)) == SAES[1]


def test_the_certificate_of_a_kme_carries_its_name_and_serves_only(made):
    _, paths = made
    extensions = certificate(paths.kmes[0]).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:qkd:lab:kme:a"]
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [SERVER]


def test_an_sae_is_told_by_its_common_name_too(made):
    _, paths = made
    (common,) = certificate(paths.saes[0]).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common.value == "a:sae"


def test_a_client_without_a_certificate_is_turned_away(made):
    _, paths = made
    client = ssl.create_default_context(cafile=str(paths.ca.certificate))
    with pytest.raises(ssl.SSLError):
        handshake(server_context(paths.kmes[0], paths.ca.certificate), client)


def test_a_client_of_another_ca_is_turned_away(made, tmp_path):
    _, paths = made
    other = ensure_pki(tmp_path, "lab", KMES, SAES, NOW)
    client = client_context(other.saes[0], paths.ca.certificate)
    with pytest.raises(ssl.SSLError):
        handshake(server_context(paths.kmes[0], paths.ca.certificate), client)


def test_the_certificate_of_a_kme_does_not_serve_as_a_client(made):
    _, paths = made
    client = client_context(paths.kmes[1], paths.ca.certificate)
    with pytest.raises(ssl.SSLError):
        handshake(server_context(paths.kmes[0], paths.ca.certificate), client)


def test_tls_before_1_2_is_off(made):
    _, paths = made
    for context in (
        server_context(paths.kmes[0], paths.ca.certificate),
        client_context(paths.saes[0], paths.ca.certificate),
    ):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_connection_without_a_certificate_has_no_identity():
    class Bare:
        def getpeercert(self, binary_form=False):
            return None

    with pytest.raises(RefusedError, match="no certificate"):
        peer_identity(Bare())


def signed(names, usage) -> bytes:
    """Return the DER of a certificate that names `names` and is meant for `usage`."""
    key = ec.generate_private_key(ec.SECP256R1())
    someone = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    start = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(someone)
        .issuer_name(someone)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


@pytest.mark.parametrize(
    ("names", "usage", "words"),
    [
        ([URN], None, "no extended key usage"),
        (None, [CLIENT], "names 0 URIs"),
        ([URN], [SERVER], "not for clients"),
        ([URN], [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], "not for clients"),
        ([x509.DNSName("localhost")], [CLIENT], "names 0 URIs"),
        ([URN, uri("urn:qkd:lab:b:sae")], [CLIENT], "names 2 URIs"),
        ([URN, URN], [CLIENT], "names 2 URIs"),
        ([uri("https://localhost/")], [CLIENT], "begins with 'urn:'"),
        ([uri("urn:qkd:lifecycle")], [CLIENT], "reserved"),
        ([uri("urn:qkd:lab:" + "a" * 60)], [CLIENT], "at most 64"),
        ([uri("urn:qkd:lab:a:sae?=nonce=1")], [CLIENT], "names a session"),
        ([uri("urn:qkd:lab:a:sae#f")], [CLIENT], "names a session"),
    ],
)
def test_a_certificate_that_names_no_single_sae_for_clients_is_refused(names, usage, words):
    with pytest.raises(RefusedError, match=words):
        identity_of(signed(names, usage))


def test_a_common_name_counts_only_where_it_is_mapped_and_nothing_else_is_named():
    mapped = (("someone", "urn:qkd:lab:b:sae"),)
    assert identity_of(signed(None, [CLIENT]), mapped) == "urn:qkd:lab:b:sae"
    assert identity_of(signed([x509.DNSName("localhost")], [CLIENT]), mapped) == "urn:qkd:lab:b:sae"
    assert identity_of(signed([URN], [CLIENT]), mapped) == "urn:qkd:lab:a:sae"
    with pytest.raises(RefusedError, match="mapped"):
        identity_of(signed(None, [CLIENT]), (("somebody", "urn:qkd:lab:b:sae"),))


def test_what_is_no_certificate_is_refused():
    with pytest.raises(RefusedError, match="cannot be read"):
        identity_of(b"\x30\x00")


def test_names_that_are_equivalent_are_one_identity():
    der = signed([x509.DNSName("localhost"), uri("URN:QKD:lab:a:sae")], [SERVER, CLIENT])
    assert identity_of(der) == "urn:qkd:lab:a:sae"


def test_a_second_run_keeps_every_certificate(made):
    folder, paths = made
    before = bytes_of(paths)
    assert ensure_pki(folder, "lab", KMES, SAES, NOW + 300 * DAY_S) == paths
    assert bytes_of(paths) == before


def changed(before: list[bytes], after: list[bytes]) -> list[int]:
    """Return which pairs (CA, two KMEs, two SAEs) have another certificate."""
    return [index // 2 for index in range(0, len(before), 2) if before[index] != after[index]]


def test_certificates_that_expire_within_a_week_are_renewed_by_the_same_ca(tmp_path):
    before = bytes_of(ensure_pki(tmp_path, "lab", KMES, SAES, NOW))
    paths = ensure_pki(tmp_path, "lab", KMES, SAES, NOW + 359 * DAY_S)
    assert changed(before, bytes_of(paths)) == [1, 2, 3, 4]
    certificate(paths.kmes[0]).verify_directly_issued_by(certificate(paths.ca))


def test_a_ca_that_expires_is_made_anew_with_all_it_signed(tmp_path):
    before = bytes_of(ensure_pki(tmp_path, "lab", KMES, SAES, NOW))
    paths = ensure_pki(tmp_path, "lab", KMES, SAES, NOW + 3650 * DAY_S)
    assert changed(before, bytes_of(paths)) == [0, 1, 2, 3, 4]
    certificate(paths.saes[1]).verify_directly_issued_by(certificate(paths.ca))


def test_a_site_whose_kme_is_renamed_gets_another_certificate(tmp_path):
    before = bytes_of(ensure_pki(tmp_path, "lab", KMES, SAES, NOW))
    renamed = (KmeIdentity("a", "urn:qkd:lab:kme:z"), KMES[1])
    assert changed(before, bytes_of(ensure_pki(tmp_path, "lab", renamed, SAES, NOW))) == [1]


@pytest.mark.parametrize("harm", ["remove key", "remove certificate", "swap key", "garble", "expose key"])
def test_a_certificate_that_was_harmed_is_made_anew_and_the_others_kept(tmp_path, harm):
    paths = ensure_pki(tmp_path, "lab", KMES, SAES, NOW)
    before = bytes_of(paths)
    victim, other = paths.saes
    match harm:
        case "remove key":
            victim.key.unlink()
        case "remove certificate":
            victim.certificate.unlink()
        case "swap key":
            victim.key.write_bytes(other.key.read_bytes())
        case "garble":
            victim.certificate.write_bytes(b"nothing")
        case "expose key":
            victim.key.chmod(0o644)
    assert changed(before, bytes_of(ensure_pki(tmp_path, "lab", KMES, SAES, NOW))) == [3]
    assert stat.S_IMODE(victim.key.stat().st_mode) == 0o600
    server = server_context(paths.kmes[0], paths.ca.certificate)
    assert peer_identity(handshake(server, client_context(victim, paths.ca.certificate))) == SAES[0]


def test_an_sae_of_another_node_cannot_take_the_place_of_one(tmp_path):
    paths = ensure_pki(tmp_path, "lab", KMES, SAES, NOW)
    before = bytes_of(paths)
    paths.saes[0].certificate.write_bytes(paths.saes[1].certificate.read_bytes())
    paths.saes[0].key.write_bytes(paths.saes[1].key.read_bytes())
    after = bytes_of(ensure_pki(tmp_path, "lab", KMES, SAES, NOW))
    assert changed(before, after) == [3]


def test_a_context_without_its_files_says_which(made, tmp_path):
    _, paths = made
    gone = CertificatePaths("x", tmp_path / "gone.pem", tmp_path / "gone.key")
    with pytest.raises(EnvironmentFaultError, match=r"gone\.pem"):
        server_context(gone, paths.ca.certificate)


def test_different_names_have_different_file_names():
    names = [
        "urn:qkd:lab:a:sae",
        "urn:qkd:lab:a.sae",
        "urn:qkd:lab:a-sae",
        "urn:qkd:lab:A:sae",
        "urn:qkd:lab:a/sae",
        "urn:qkd:lab:..:..",
        "urn:qkd:lab",
    ]
    slugs = [slug(name) for name in names]
    assert slugs[0] == "a.sae"
    assert len({text.lower() for text in slugs}) == len(names)
    assert not any("/" in text or text.startswith(".") for text in slugs)
