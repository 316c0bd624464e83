"""A certificate authority for one test: contexts for a KME and for SAEs, made in memory and a folder."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qstrata.core.errors import RefusedError

_START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""Python 3.13 holds certificates to RFC 5280 strictly: whoever signs says so, and names its key."""


def identify(tls: ssl.SSLObject) -> str:
    """Return the URI of the peer's certificate."""
    for kind, value in (tls.getpeercert() or {}).get("subjectAltName", ()):
        if kind == "URI":
            return value
    raise RefusedError("the certificate names no SAE")


class Authority:
    """Sign certificates into a folder: `ca.pem`, `<name>.pem`, `<name>.key`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        extensions = (x509.BasicConstraints(ca=True, path_length=0), _SIGNS_CERTIFICATES)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self._sign(self._name, self._key.public_key(), *extensions))

    def issue(self, name: str, san: x509.GeneralName) -> tuple[Path, Path]:
        """Return the paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(self._sign(subject, key.public_key(), x509.SubjectAlternativeName([san])))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, secret

    def server(self) -> ssl.SSLContext:
        """Return a context for a KME on 127.0.0.1 that demands a client certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("kme", x509.IPAddress(ipaddress.ip_address("127.0.0.1"))))
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def sae(self, urn: str) -> ssl.SSLContext:
        """Return a context for the SAE of this name."""
        context = self.anonymous()
        san = x509.UniformResourceIdentifier(urn)
        context.load_cert_chain(*self.issue(urn.rpartition(":")[2], san))
        return context

    def anonymous(self) -> ssl.SSLContext:
        """Return a context that trusts the KME and has no certificate."""
        return ssl.create_default_context(cafile=self.ca)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> bytes:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_START)
            .not_valid_after(_END)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority, critical=False)
        )
        for extension in extensions:
            critical = not isinstance(extension, x509.SubjectAlternativeName)
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
