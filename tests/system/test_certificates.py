"""Certificates and what they are good for: each misuse is stopped, by TLS or by 401, and consumes nothing."""

import datetime
import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from msgspec.structs import replace

import qstrata
from qstrata.cli import main
from qstrata.network.certificates import Certificates, keep
from qstrata.network.face import Network
from qstrata.network.loader import load
from qstrata.network.pki import client_context
from qstrata.network.state import state_paths
from qstrata.store.records import KeyRecord, KeyState
from tests.system.certificates_made import (
    CLIENT,
    DAY,
    NOW,
    SERVER,
    Issuer,
    Wish,
    issued,
    loaded,
    new_ca,
    new_key,
    raw_uri,
    signed_with_sha1,
    written,
)

ALERT, UNAUTHORIZED, SERVED = "TLS alert", 401, 200
SAE = "urn:qkd:madqci:quintin:sae"
PEER = "urn:qkd:madqci:aquiles:sae"
URI = raw_uri(SAE)
LOCAL = x509.DNSName("localhost")


class Case(msgspec.Struct, frozen=True):
    """One certificate, and what comes of it."""

    name: str
    expected: str | int
    wish: Wish
    signer: str = "network"
    key: str = "P-256"
    chain: str = "leaf"
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3


def wish(*uris: str, **more: Any) -> Wish:
    """Return the wish for a certificate that names these URIs."""
    return Wish(names=[raw_uri(uri) for uri in uris], **more)


GOOD = wish(SAE)

CASES = (
    Case("as it should be", SERVED, GOOD),
    Case("as it should be, TLS 1.2", SERVED, GOOD, highest=ssl.TLSVersion.TLSv1_2),
    Case("TLS 1.1", ALERT, GOOD, highest=ssl.TLSVersion.TLSv1_1),
    Case("TLS 1.0", ALERT, GOOD, highest=ssl.TLSVersion.TLSv1),
    Case("none", ALERT, GOOD, chain="none"),
    Case("of another CA", ALERT, GOOD, signer="other"),
    Case("of a CA that has the network's name", ALERT, GOOD, signer="namesake"),
    Case("self-signed", ALERT, GOOD, signer="itself"),
    Case("self-signed CA as leaf", ALERT, wish(SAE, is_ca=True), signer="itself"),
    Case("expired", ALERT, wish(SAE, start=NOW - 3 * DAY, end=NOW - DAY)),
    Case("expired a minute ago", ALERT, wish(SAE, end=NOW - datetime.timedelta(minutes=1))),
    Case("not yet valid", ALERT, wish(SAE, start=NOW + DAY, end=NOW + 2 * DAY)),
    Case("for servers alone", ALERT, wish(SAE, usages=[SERVER])),
    Case("for clients and servers", SERVED, wish(SAE, usages=[SERVER, CLIENT])),
    Case("for code signing", ALERT, wish(SAE, usages=[x509.oid.ExtendedKeyUsageOID.CODE_SIGNING])),
    Case("for any use", ALERT, wish(SAE, usages=[x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
    Case("without an extended key usage", UNAUTHORIZED, wish(SAE, usages=None)),
    Case("whose key may not sign", ALERT, wish(SAE, digital_signature=False)),
    Case("of a CA, used as a leaf", UNAUTHORIZED, wish(SAE, is_ca=True)),
    Case("signed by a leaf", ALERT, GOOD, signer="leaf", chain="with signer"),
    Case("signed by a leaf that says it is a CA", ALERT, GOOD, signer="sub-CA", chain="with signer"),
    Case("with a chain of a hundred", ALERT, GOOD, chain="huge"),
    Case(
        "with an unknown critical extension",
        ALERT,
        wish(SAE, critical=x509.ObjectIdentifier("1.3.6.1.4.1.1.1")),
    ),
    Case("replayed certificate of a KME", ALERT, GOOD, chain="of the KME"),
    Case("two URIs", UNAUTHORIZED, wish(SAE, PEER)),
    Case("the same URI twice", UNAUTHORIZED, wish(SAE, SAE)),
    Case("a URI and an empty one", UNAUTHORIZED, wish(SAE, "")),
    Case("no subject alternative name", UNAUTHORIZED, Wish(names=None)),
    Case("DNS name alone", UNAUTHORIZED, Wish(names=[LOCAL])),
    Case("DNS name that is the SAE's", UNAUTHORIZED, Wish(names=[x509.DNSName(SAE)])),
    Case("mail address that is the SAE's", UNAUTHORIZED, Wish(names=[x509.RFC822Name(SAE)])),
    Case("DNS name beside the URI", SERVED, Wish(names=[LOCAL, URI])),
    Case("common name alone, not mapped", UNAUTHORIZED, Wish(names=None, common_names=[SAE])),
    Case("common name alone, mapped", SERVED, Wish(names=None, common_names=["vpn"])),
    Case("common name mapped, DNS name beside", SERVED, Wish(names=[LOCAL], common_names=["vpn"])),
    Case("second common name mapped to the same SAE", SERVED, Wish(names=None, common_names=["vpn old"])),
    Case("common name mapped to an SAE of another KME", UNAUTHORIZED, Wish(names=None, common_names=["far"])),
    Case("common name mapped, in upper case", UNAUTHORIZED, Wish(names=None, common_names=["VPN"])),
    Case("common name mapped, a space at its end", UNAUTHORIZED, Wish(names=None, common_names=["vpn "])),
    Case("common name mapped, twice", UNAUTHORIZED, Wish(names=None, common_names=["vpn", "vpn"])),
    Case(
        "common name mapped, and one that is not", UNAUTHORIZED, Wish(names=None, common_names=["vpn", "x"])
    ),
    Case("common name mapped, URI of nobody", UNAUTHORIZED, wish("urn:qkd:x:y", common_names=["vpn"])),
    Case("common name mapped elsewhere, URI of the SAE", SERVED, wish(SAE, common_names=["far"])),
    Case(
        "common name mapped, for servers alone",
        ALERT,
        Wish(names=None, common_names=["vpn"], usages=[SERVER]),
    ),
    Case("common name mapped, of another CA", ALERT, Wish(names=None, common_names=["vpn"]), signer="other"),
    Case("two common names", UNAUTHORIZED, Wish(names=None, common_names=[SAE, "client"])),
    Case("another common name than the URI", SERVED, wish(SAE, common_names=[PEER])),
    Case("URI of an SAE of another KME", UNAUTHORIZED, wish(PEER)),
    Case("URI of a KME", UNAUTHORIZED, wish("urn:qkd:madqci:kme:quintin")),
    Case("URI of nobody", UNAUTHORIZED, wish("urn:qkd:madqci:quintin:other")),
    Case("URI of a prefix", UNAUTHORIZED, wish("urn:qkd:madqci:quintin")),
    Case("URI of another domain", UNAUTHORIZED, wish("urn:qkd:elsewhere:quintin:sae")),
    Case("URI with a wildcard", UNAUTHORIZED, wish("urn:qkd:madqci:quintin:*")),
    Case("URI that is a pattern", UNAUTHORIZED, wish("urn:qkd:madqci:*:sae")),
    Case("URI with a NUL after the name", UNAUTHORIZED, wish(SAE + "\0.example")),
    Case("URI with a NUL at its end", UNAUTHORIZED, wish(SAE + "\0")),
    Case("URI with a percent-encoded NUL", UNAUTHORIZED, wish(SAE + "%00")),
    Case("URI with a space at its end", UNAUTHORIZED, wish(SAE + " ")),
    Case("URI with a line end", UNAUTHORIZED, wish(SAE + "\n")),
    Case("URI with a percent-encoded colon", UNAUTHORIZED, wish("urn:qkd:madqci:quintin%3Asae")),
    Case("URI with a percent-encoded letter", UNAUTHORIZED, wish("urn:qkd:madqci:quintin:%73ae")),
    Case("URI with a lone percent", UNAUTHORIZED, wish(SAE + "%")),
    Case("URI in upper case scheme and NID", SERVED, wish("URN:QKD:madqci:quintin:sae")),
    Case("URI in upper case", UNAUTHORIZED, wish("urn:qkd:madqci:QUINTIN:sae")),
    Case("URI with a q-part", UNAUTHORIZED, wish(SAE + "?=nonce=1")),
    Case("URI with an r-part", UNAUTHORIZED, wish(SAE + "?+x")),
    Case("URI with a fragment", UNAUTHORIZED, wish(SAE + "#x")),
    Case("URI of a web site", UNAUTHORIZED, wish("https://quintin.example/sae")),
    Case("URI of a megabyte's beginning", UNAUTHORIZED, wish(SAE + "x" * 20_000)),
    Case("RSA 2048", SERVED, GOOD, key="RSA-2048"),
    Case("RSA 1024", ALERT, GOOD, key="RSA-1024"),
    Case("P-384", SERVED, GOOD, key="P-384"),
    Case("Ed25519", SERVED, GOOD, key="Ed25519"),
    Case("secp256k1, TLS 1.2", ALERT, GOOD, key="secp256k1", highest=ssl.TLSVersion.TLSv1_2),
    Case("P-224, TLS 1.2", ALERT, GOOD, key="P-224", highest=ssl.TLSVersion.TLSv1_2),
    Case("SHA-1 signature", ALERT, GOOD, chain="SHA-1"),
)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    madrid = load("madrid")
    names = {SAE: ("vpn", "vpn old"), PEER: ("far",)}
    saes = tuple(replace(sae, common_names=names.get(sae.name, ())) for sae in madrid.saes)
    with qstrata.network(replace(madrid, saes=saes)) as net:
        net.wait_for_keys("quintin", "aquiles", 8)
        yield net


@pytest.fixture(scope="module")
def signers(net: Network) -> dict[str, Issuer]:
    """Return who may have signed a client's certificate, by name."""
    ours = loaded(net.pki.ca.certificate, net.pki.ca.key)
    namesake = new_ca(ours.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    leaf_key, sub_key = new_key(), new_key()
    leaf = Issuer(issued(ours, GOOD, leaf_key), leaf_key)
    sub_ca = Issuer(issued(ours, wish(SAE, is_ca=True), sub_key), sub_key)
    return {"network": ours, "other": new_ca(), "namesake": namesake, "leaf": leaf, "sub-CA": sub_ca}


def context(net: Network, case: Case, signers: dict[str, Issuer], folder: Path) -> ssl.SSLContext:
    """Return the TLS side of a client that does what the case says, and is itself not careful."""
    tls = ssl.create_default_context(cafile=net.pki.ca.certificate)
    # The client would refuse old versions and weak keys itself: it is the KME that must.
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    tls.minimum_version = min(case.highest, ssl.TLSVersion.TLSv1_2)
    tls.maximum_version = case.highest
    if case.chain == "of the KME":
        kme = net.pki.of("urn:qkd:madqci:kme:quintin")
        tls.load_cert_chain(kme.certificate, kme.key)
    elif case.chain == "SHA-1":
        tls.load_cert_chain(*signed_with_sha1(net.pki.ca, SAE, folder))
    elif case.chain != "none":
        key = ed25519.Ed25519PrivateKey.generate() if case.key == "Ed25519" else new_key(case.key)
        tls.load_cert_chain(*written(folder, chain(case, signers, key), key))
    return tls


def chain(case: Case, signers: dict[str, Issuer], key: Any) -> Sequence[x509.Certificate]:
    signer = signers.get(case.signer)
    leaf = issued(signer, case.wish, key)
    if case.chain == "huge":
        authority, links = signers["network"], []
        for number in range(100):
            between_key = new_key()
            between = wish(is_ca=True, common_names=[f"between {number}"], usages=None)
            authority = Issuer(issued(authority, between, between_key), between_key)
            links.append(authority.certificate)
        return [issued(authority, case.wish, key), *reversed(links)]
    return [leaf, signer.certificate] if case.chain == "with signer" and signer is not None else [leaf]


def outcome(url: str, tls: ssl.SSLContext, target: str) -> str | int:
    """Return the HTTP status, or ALERT where no HTTP came about."""
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=tls, timeout=10)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "application/json"
        body = json.loads(answer.read())
        assert answer.status == SERVED or list(body) == ["message"]
        return answer.status
    except (ssl.SSLError, ConnectionError):
        return ALERT
    finally:
        connection.close()


def handed_out(net: Network) -> int:
    nodes = [node.name for node in net.description.nodes]
    rows = [row for node in nodes for row in net.ledger(node) if isinstance(row, KeyRecord)]
    return sum(row.state is KeyState.DELIVERED for row in rows)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_certificate_is_good_for_what_it_should_and_nothing_else(
    net: Network, signers: dict[str, Issuer], tmp_path: Path, case: Case
) -> None:
    before = handed_out(net)
    tls = context(net, case, signers, tmp_path)
    verb = "status" if case.expected == SERVED else "enc_keys"
    target = f"/api/v1/keys/{quote(PEER, safe='')}/{verb}"
    assert outcome(net.url("quintin"), tls, target) == case.expected
    assert handed_out(net) == before


def test_revoked_certificate_is_refused_and_others_are_served(tmp_path: Path) -> None:
    with qstrata.network("madrid", state_dir=tmp_path / "net") as net:
        net.wait_for_keys("quintin", "aquiles")
        paths = net.pki
    ca = loaded(paths.ca.certificate, paths.ca.key)
    victim = x509.load_pem_x509_certificate(paths.of(SAE).certificate.read_bytes())
    revoked = x509.RevokedCertificateBuilder().serial_number(victim.serial_number).revocation_date(NOW - DAY)
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.certificate.subject)
        .last_update(NOW - DAY)
        .next_update(NOW + DAY)
        .add_revoked_certificate(revoked.build())
        .sign(ca.key, hashes.SHA256())
    )
    pem = crl.public_bytes(serialization.Encoding.PEM)
    paths.ca.certificate.with_name("crl.pem").write_bytes(pem)
    with qstrata.network("madrid", state_dir=tmp_path / "net") as net:
        net.wait_for_keys("aquiles", "quintin")
        tls = ssl.create_default_context(cafile=paths.ca.certificate)
        own = net.pki.of(SAE)
        tls.load_cert_chain(own.certificate, own.key)
        target = f"/api/v1/keys/{quote(PEER, safe='')}/status"
        assert outcome(net.url("quintin"), tls, target) == ALERT


def presented(url: str, tls: ssl.SSLContext) -> int:
    """Return the serial number of the certificate that a KME shows to a new connection."""
    at = urlsplit(url)
    with (
        socket.create_connection((at.hostname or "", at.port or 0), timeout=10) as plain,
        tls.wrap_socket(plain, server_hostname=at.hostname) as connection,
    ):
        der = connection.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def test_renewed_certificates_count_for_connections_to_come_of_a_network_that_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with qstrata.network("madrid", state_dir=tmp_path / "net") as net:
        net.wait_for_keys("quintin", "aquiles")
        url, own = net.url("quintin"), net.pki.of(SAE)
        old = client_context(own, net.pki.ca.certificate)
        before = presented(url, old)
        assert main(["pki", "renew", "--state-dir", str(tmp_path / "net")]) == 0
        assert "show new connections the certificates of now" in capsys.readouterr().err
        # The connection that stood goes on; certificates that were replaced hold until they end.
        net.sae("quintin").status("aquiles")
        after = presented(url, old)
        file = net.pki.of("urn:qkd:madqci:kme:quintin").certificate
        assert after == x509.load_pem_x509_certificate(file.read_bytes()).serial_number != before
        assert presented(url, client_context(own, net.pki.ca.certificate)) == after
        file.write_text("nothing")
        own.certificate.unlink()
        assert main(["pki", "reload", "--state-dir", str(tmp_path / "net")]) == 0
        assert presented(url, old) not in (before, after)


def test_certificates_of_ones_own_are_remembered_and_bad_ones_never_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = state_paths("madrid", tmp_path / "net")
    with qstrata.network("madrid", state_dir=paths.root) as net:
        net.wait_for_keys("quintin", "aquiles")
    own = paths.pki.rename(tmp_path / "own")
    keep(paths, Certificates(folder=own))
    with qstrata.network("madrid", state_dir=paths.root) as net:
        assert net.pki.ca.certificate == own / "ca.pem"
        tls = client_context(net.pki.of(SAE), net.pki.ca.certificate)
        before = presented(net.url("quintin"), tls)
        (own / "kme" / "quevedo.pem").unlink()
        assert main(["pki", "reload", "--state-dir", str(paths.root)]) == 1
        assert "quevedo.pem cannot be read" in capsys.readouterr().err
        assert presented(net.url("quintin"), tls) == before
    assert not any(paths.pki.iterdir())
