"""The demo PKI: one CA per network, a server certificate per KME, a client certificate per SAE.

A KME is known by its URN in the certificate's subject alternative name, and so is an SAE: the name is the
identity. ETSI GS QKD 014 V1.1.1 wants both ids in certificates and leaves open where.
"""

import datetime
import hashlib
import ipaddress
import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qstrata.core.errors import EnvironmentFaultError, InputError, RefusedError
from qstrata.core.service_unit import sae_id
from qstrata.core.urn import Urn
from qstrata.network.state import write_private

_DAY = datetime.timedelta(days=1)
_SKEW = datetime.timedelta(hours=1)
_CA_LIFE = 3650 * _DAY
_LEAF_LIFE = 365 * _DAY
_RSA_BITS_MIN = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
RENEW_BEFORE = 7 * _DAY
OTHERS = 0o077
DEMO_CA = "qstrata demo CA of "
_SAFE_SEGMENT = re.compile(r"[a-z0-9-]+")
_HOSTS = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)


CommonNames = tuple[tuple[str, str], ...]
"""Common names of client certificates, each with the SAE that it stands for."""

E = TypeVar("E", bound=x509.ExtensionType)


class KmeIdentity(msgspec.Struct, frozen=True):
    """A KME that needs a certificate: its site and its URN."""

    site: str
    name: str


class CertificatePaths(msgspec.Struct, frozen=True):
    """Where the certificate (PEM) of `name` is, and its private key (PEM, readable by the owner alone)."""

    name: str
    certificate: Path
    key: Path


class PkiPaths(msgspec.Struct, frozen=True):
    """Where the certificates of a network are: the CA's, the KMEs' and the SAEs', in the order given."""

    ca: CertificatePaths
    kmes: tuple[CertificatePaths, ...]
    saes: tuple[CertificatePaths, ...]

    def of(self, name: str) -> CertificatePaths:
        """Return the paths of a KME or an SAE by its URN; raises InputError for another name."""
        for paths in (*self.kmes, *self.saes):
            if paths.name == name:
                return paths
        raise InputError(f"there is no certificate for {name}: name a KME or an SAE of this network")


class _Issuer(msgspec.Struct, frozen=True):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class _Leaf(msgspec.Struct, frozen=True):
    common_name: str
    names: tuple[x509.GeneralName, ...]
    usage: x509.ObjectIdentifier


def pki_paths(folder: Path, kmes: tuple[KmeIdentity, ...], saes: tuple[str, ...]) -> PkiPaths:
    """Return where the certificates of these KMEs and SAEs are kept; nothing is made or read."""
    return PkiPaths(
        ca=CertificatePaths("ca", folder / "ca.pem", folder / "ca.key"),
        kmes=tuple(_pair(folder / "kme" / kme.site, kme.name) for kme in kmes),
        saes=tuple(_pair(folder / "sae" / slug(name), name) for name in saes),
    )


def ensure_pki(
    folder: Path,
    domain: str,
    kmes: tuple[KmeIdentity, ...],
    saes: tuple[str, ...],
    now_epoch_s: int,
    *,
    hosts: tuple[str, ...] = (),
    anew: bool = False,
) -> PkiPaths:
    """Make the certificates that are missing; keep those that hold, renew the others, or all if `anew`.

    The KMEs' certificates name this machine's loopback and `hosts`, which are names or addresses.

    Renewed are certificates that have expired or will within a week, that carry another name, that the CA
    did not sign, or whose key is lost or was readable by others. `now_epoch_s` is Unix time in seconds.
    Raises EnvironmentFaultError when the disk refuses.
    """
    paths = pki_paths(folder, kmes, saes)
    now = datetime.datetime.fromtimestamp(now_epoch_s, datetime.UTC)
    issuer = _ensure_ca(paths.ca, domain, now)
    names = (*_HOSTS, *(name for name in map(_host, hosts) if name not in _HOSTS))
    for kme, at in zip(kmes, paths.kmes, strict=True):
        _ensure_leaf(at, _leaf(kme.name, ExtendedKeyUsageOID.SERVER_AUTH, names), issuer, now, anew)
    for at in paths.saes:
        _ensure_leaf(at, _leaf(at.name, ExtendedKeyUsageOID.CLIENT_AUTH), issuer, now, anew)
    return paths


def slug(name: str) -> str:
    """Return the file name of a URN: its segments below the domain, and a digest where they are not plain.

    Different names have different slugs, also where a file system ignores case.
    """
    segments = Urn.parse(name).segments[1:]
    if segments and all(_SAFE_SEGMENT.fullmatch(segment) for segment in segments):
        return ".".join(segments)
    readable = re.sub(r"[^a-z0-9-]", "_", "_".join(segments).lower())[:64]
    return f"{readable}_{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


def server_context(server: CertificatePaths, ca: Path) -> ssl.SSLContext:
    """Return the TLS side of a KME: TLS 1.2 or later, and no client without a certificate of the CA.

    A revocation list `crl.pem` of that CA beside `ca` is obeyed, as it stands now.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    crl = ca.with_name("crl.pem")
    if crl.exists():
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        return _loaded(context, server, ca, crl)
    return _loaded(context, server, ca)


def client_context(client: CertificatePaths, ca: Path) -> ssl.SSLContext:
    """Return the TLS side of an SAE: TLS 1.2 or later, its certificate, the server's name checked."""
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), client, ca)


def peer_identity(connection: ssl.SSLObject | ssl.SSLSocket, common_names: CommonNames = ()) -> str:
    """Return the name of the SAE at the other end of a TLS connection; RefusedError as `identity_of`."""
    der = connection.getpeercert(binary_form=True)
    if der is None:
        raise RefusedError("the client sent no certificate: connect with that of an SAE")
    return identity_of(der, common_names)


@lru_cache(maxsize=4096)
def identity_of(der: bytes, common_names: CommonNames = ()) -> str:
    """Return the SAE that a verified client certificate (DER) names: its only URI, a URN in canonical form.

    A certificate without a URI is known by its common name if that is mapped to an SAE in `common_names`.
    Raises RefusedError for a certificate of a CA, one that is not meant for clients by its extended key
    usage, one whose key is weaker than the policy wants (RSA 2048, P-256), one that names no URI or
    several, or whose URI is no name of an SAE.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        extensions = certificate.extensions
        _check_key(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise RefusedError("the client's certificate cannot be read: have it issued again") from fault
    constraints = _extension(extensions, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise RefusedError("the client's certificate is that of a CA: use that of an SAE")
    usages = _extension(extensions, x509.ExtendedKeyUsage)
    if usages is None:
        raise RefusedError("the client's certificate has no extended key usage: it must have clientAuth")
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise RefusedError("the certificate is not for clients (clientAuth): use that of an SAE")
    names = _extension(extensions, x509.SubjectAlternativeName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []
    if not uris:
        return _by_common_name(certificate, common_names)
    if len(uris) != 1:
        raise RefusedError(f"the client's certificate names {len(uris)} URIs: it must name one SAE")
    return _sae_of(uris[0])


def _sae_of(uri: str) -> str:
    try:
        urn = Urn.parse(uri)
        name = sae_id(urn)
    except InputError as fault:
        raise RefusedError(f"the client's certificate does not name an SAE: {fault}") from fault
    if (urn.r, urn.q, urn.f) != (None, None, None):
        raise RefusedError("the client's certificate names a session, not an SAE: leave the q-part out")
    return name


def _by_common_name(certificate: x509.Certificate, common_names: CommonNames) -> str:
    given = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    name = dict(common_names).get(given[0]) if len(given) == 1 else None
    if name is None:
        raise RefusedError(
            "the client's certificate names 0 URIs in its subject alternative name: it must name one SAE, "
            "or its common name be mapped to one in the network's configuration"
        )
    return name


def _check_key(key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        good = key.key_size >= _RSA_BITS_MIN
    elif isinstance(key, ec.EllipticCurvePublicKey):
        good = isinstance(key.curve, _CURVES)
    else:
        good = isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
    if not good:
        raise RefusedError(
            f"the key of the client's certificate is not accepted: use RSA of {_RSA_BITS_MIN} bits or more, "
            "P-256, P-384, P-521, Ed25519 or Ed448"
        )


def _extension(extensions: x509.Extensions, kind: type[E]) -> E | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _pair(stem: Path, name: str) -> CertificatePaths:
    return CertificatePaths(name, stem.with_name(stem.name + ".pem"), stem.with_name(stem.name + ".key"))


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _leaf(name: str, usage: x509.ObjectIdentifier, hosts: tuple[x509.GeneralName, ...] = ()) -> _Leaf:
    common_name = ":".join(Urn.parse(name).segments[1:])[:64]
    return _Leaf(common_name, (*hosts, x509.UniformResourceIdentifier(name)), usage)


def _loaded(context: ssl.SSLContext, own: CertificatePaths, *trusted: Path) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(own.certificate, own.key)
        for path in trusted:
            context.load_verify_locations(path)
    except OSError as fault:
        names = " or ".join(map(str, trusted))
        raise EnvironmentFaultError(
            f"the certificate {own.certificate}, its key or {names} cannot be used: {fault}"
        ) from fault
    return context


def _ensure_ca(paths: CertificatePaths, domain: str, now: datetime.datetime) -> _Issuer:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{DEMO_CA}{domain}"[:64])])
    held = _held(paths, now)
    if held is not None and held.certificate.subject == subject and _signed_by(held.certificate, held):
        return held
    key = ec.generate_private_key(ec.SECP256R1())
    usage = _key_usage(signs_certificates=True)
    certificate = (
        _builder(subject, subject, key, now, _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(paths, certificate, key)
    return _Issuer(certificate, key)


def _ensure_leaf(
    paths: CertificatePaths, leaf: _Leaf, issuer: _Issuer, now: datetime.datetime, anew: bool
) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)])
    names = x509.SubjectAlternativeName(leaf.names)
    held = None if anew else _held(paths, now)
    if held is not None and _signed_by(held.certificate, issuer) and _says(held.certificate, names, leaf):
        return
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    certificate = (
        _builder(subject, issuer.certificate.subject, key, now, _LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([leaf.usage]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
        .sign(issuer.key, hashes.SHA256())
    )
    _write(paths, certificate, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _held(paths: CertificatePaths, now: datetime.datetime) -> _Issuer | None:
    """Return what is kept, if its key is private and belongs to it and it is valid for a while."""
    try:
        if paths.key.stat().st_mode & OTHERS:
            return None
        certificate = x509.load_pem_x509_certificate(paths.certificate.read_bytes())
        key = serialization.load_pem_private_key(paths.key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    valid = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
    return _Issuer(certificate, key) if valid else None


def _signed_by(certificate: x509.Certificate, issuer: _Issuer) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _says(certificate: x509.Certificate, names: x509.SubjectAlternativeName, leaf: _Leaf) -> bool:
    try:
        extensions = certificate.extensions
        said = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return said == names and list(usages) == [leaf.usage]


def _write(paths: CertificatePaths, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    write_private(paths.key, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    write_private(paths.certificate, certificate.public_bytes(pem))
