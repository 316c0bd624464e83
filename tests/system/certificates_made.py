"""Certificates of all kinds, signed by a network's own CA or by others, for clients that misuse them."""

import datetime
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qstrata.network.pki import CertificatePaths

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Issuer(msgspec.Struct, frozen=True):
    """A certificate and the key that signs with it."""

    certificate: x509.Certificate
    key: Any


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate is to say; what is left out is as an SAE's certificate has it."""

    names: Sequence[x509.GeneralName] | None
    usages: Sequence[x509.ObjectIdentifier] | None = (CLIENT,)
    common_names: Sequence[str] = ("client",)
    start: datetime.datetime = NOW - DAY
    end: datetime.datetime = NOW + DAY
    key: Any = None
    is_ca: bool = False
    path_length: int | None = None
    signs: bool | None = None
    digital_signature: bool = True
    critical: x509.ObjectIdentifier | None = None


def loaded(certificate: Path, key: Path) -> Issuer:
    """Return a CA from its files."""
    return Issuer(
        x509.load_pem_x509_certificate(certificate.read_bytes()),
        serialization.load_pem_private_key(key.read_bytes(), None),
    )


def new_ca(name: str = "another CA") -> Issuer:
    """Return a CA that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    wish = Wish(names=None, usages=None, common_names=(name,), is_ca=True, key=key)
    return Issuer(issued(None, wish, key), key)


def issued(issuer: Issuer | None, wish: Wish, key: Any) -> x509.Certificate:
    """Return a certificate for `key`; without an issuer it is signed by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in wish.common_names])
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(wish.start)
        .not_valid_after(wish.end)
        .add_extension(x509.BasicConstraints(ca=wish.is_ca, path_length=wish.path_length), critical=True)
        .add_extension(_key_usage(wish), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if wish.usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(wish.usages)), critical=False)
    if wish.names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(wish.names)), critical=False)
    if wish.critical is not None:
        unknown = x509.UnrecognizedExtension(wish.critical, b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return builder.sign(signer, hashes.SHA256())


def _key_usage(wish: Wish) -> x509.KeyUsage:
    signs = wish.is_ca if wish.signs is None else wish.signs
    return x509.KeyUsage(
        digital_signature=wish.digital_signature,
        content_commitment=not wish.digital_signature,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def written(folder: Path, chain: Sequence[x509.Certificate], key: Any) -> tuple[Path, Path]:
    """Write a chain and its key as PEM; return both paths."""
    certificate, secret = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, secret


def new_key(kind: str = "P-256") -> Any:
    """Return a private key of a kind: a curve's name, or `RSA-<bits>`."""
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("RSA-")))
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    curves |= {"P-224": ec.SECP224R1, "secp256k1": ec.SECP256K1, "brainpool": ec.BrainpoolP256R1}
    return ec.generate_private_key(curves[kind]())


def raw_uri(text: str) -> x509.UniformResourceIdentifier:
    """Return a URI that need not be one: the bytes of `text` go into the certificate as they are."""
    return x509.UniformResourceIdentifier(text)


def signed_with_sha1(ca: CertificatePaths, uri: str, folder: Path) -> tuple[Path, Path]:
    """Return a certificate signed with SHA-1 and its key; only the openssl command still makes one."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not there: nothing else signs with SHA-1")
    certificate, secret, request, extensions = (
        folder / f"sha1.{end}" for end in ("pem", "key", "csr", "ext")
    )
    extensions.write_text(f"subjectAltName=URI:{uri}\nextendedKeyUsage=clientAuth\n")
    for command in (
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x"
        f" -keyout {secret} -out {request}",
        f"x509 -req -sha1 -in {request} -CA {ca.certificate} -CAkey {ca.key} -set_serial 7 -days 1"
        f" -extfile {extensions} -out {certificate}",
    ):
        subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    return certificate, secret
