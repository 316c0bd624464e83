"""Certificates as an operator handles them: listed, renewed, handed to an application, or brought along."""

import datetime
import ipaddress
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.pki import (
    DEMO_CA,
    OTHERS,
    RENEW_BEFORE,
    CertificatePaths,
    KmeIdentity,
    PkiPaths,
    ensure_pki,
    pki_paths,
)
from qstrata.network.state import StatePaths, write_private

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")
_OURS = "urn:qkd:"
_PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}


class Certificates(msgspec.Struct, frozen=True, kw_only=True):
    """Where a network's certificates come from; the demo CA makes them where no folder is brought along.

    `folder` has kme/SITE.pem and kme/SITE.key, and sae/ if the SAEs' are to be known; `ca` is the CA's
    certificate, by default `folder`/ca.pem. `host_names` are names and addresses at which clients reach the
    KMEs besides those of this machine: the demo CA certifies them, and the first stands in URLs.
    """

    folder: Path | None = None
    ca: Path | None = None
    host_names: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate in a file: whom it names, what it is for, and how long it is valid (UTC, ISO 8601).

    `state` is `valid`, `ends soon` (within a week), `expired`, `not yet valid`, or why it cannot be read.
    """

    file: str
    subject: str
    uri: str
    purpose: str
    not_before: str
    not_after: str
    state: str


class _Kept(msgspec.Struct, frozen=True):
    folder: str
    ca: str | None = None


def recalled(paths: StatePaths, wanted: Certificates) -> Certificates:
    """Return `wanted`, with the folder of certificates of the last `up` where it names none.

    The network's own folder of certificates means the demo CA again. Raises EnvironmentFaultError.
    """
    if wanted.folder is None:
        kept = _kept(paths)
        if kept is None:
            return wanted
        ca = Path(kept.ca) if kept.ca is not None else None
        return msgspec.structs.replace(wanted, folder=Path(kept.folder), ca=wanted.ca or ca)
    if wanted.folder.resolve() != paths.pki.resolve():
        return wanted
    paths.own_certificates.unlink(missing_ok=True)
    return msgspec.structs.replace(wanted, folder=None)


def keep(paths: StatePaths, wanted: Certificates) -> None:
    """Note where certificates of one's own are, for the next `up` and for commands."""
    assert wanted.folder is not None
    ca = str(wanted.ca.absolute()) if wanted.ca is not None else None
    write_private(paths.own_certificates, msgspec.json.encode(_Kept(str(wanted.folder.absolute()), ca)))


def ca_of(paths: StatePaths) -> Path:
    """Return the file of a network's CA: one's own of the last `up`, else the demo CA's."""
    kept = _kept(paths)
    return Path(kept.ca) if kept is not None and kept.ca is not None else folder_of(paths) / "ca.pem"


def folder_of(paths: StatePaths) -> Path:
    """Return the folder of a network's certificates: one's own of the last `up`, else the demo CA's."""
    kept = _kept(paths)
    return Path(kept.folder) if kept is not None else paths.pki


def _kept(paths: StatePaths) -> _Kept | None:
    try:
        return msgspec.json.decode(paths.own_certificates.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as fault:
        raise EnvironmentFaultError(
            f"the file {paths.own_certificates} cannot be read: remove it, and give --cert-dir again"
        ) from fault


def held_certificates(folder: Path, now_epoch_s: int) -> tuple[Held, ...]:
    """Return the certificates in a folder and in those below it, the CA's first.

    Raises EnvironmentFaultError where there is none.
    """
    files = [folder / "ca.pem", *sorted(folder.glob("kme/*.pem")), *sorted(folder.glob("sae/*.pem"))]
    found = [file for file in files if file.is_file()]
    if not found:
        raise EnvironmentFaultError(
            f"there are no certificates in {folder}: `qstrata up` makes them, or give their folder"
        )
    return tuple(_held(file, _instant(now_epoch_s)) for file in found)


def renew(folder: Path, now_epoch_s: int) -> PkiPaths:
    """Make new certificates, with new keys, for all KMEs and SAEs that have one of the demo CA.

    The CA stays, and so what it signed before stays valid. Raises InputError where it is not the demo CA.
    """
    authority = _read(folder / "ca.pem")[0]
    names = authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ""
    if not name.startswith(DEMO_CA) or not (folder / "ca.key").is_file():
        raise InputError(
            f"the CA of {folder} is not the demo CA, or its key is not there: have its owner renew"
        )
    kmes: list[KmeIdentity] = []
    hosts: list[str] = []
    for file in sorted(folder.glob("kme/*.pem")):
        certificate = _read(file)[0]
        kmes.append(KmeIdentity(file.stem, _uri(certificate)))
        hosts += _hosts(certificate)
    saes = [_uri(_read(file)[0]) for file in sorted(folder.glob("sae/*.pem"))]
    return ensure_pki(
        folder,
        name.removeprefix(DEMO_CA),
        tuple(kmes),
        tuple(saes),
        now_epoch_s,
        hosts=tuple(dict.fromkeys(hosts)),
        anew=True,
    )


def export(paths: CertificatePaths, ca: Path, folder: Path) -> tuple[Path, ...]:
    """Copy a certificate, its key and the CA's certificate into a folder, readable by this user alone.

    Raises InputError where one of the files is there already, EnvironmentFaultError as the disk says.
    """
    copies = {folder / path.name: path for path in (paths.certificate, paths.key, ca)}
    there = [str(copy) for copy in copies if copy.exists()]
    if there:
        raise InputError(f"{', '.join(there)} is there already: give another folder, or remove it")
    for copy, path in copies.items():
        write_private(copy, _bytes(path))
    return tuple(copies)


def san_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return host names and addresses that a certificate can carry, each once; InputError for another."""
    for name in names:
        if not _is_address(name) and not _HOST_NAME.fullmatch(name):
            raise InputError(f"{name!r} is no host name or address: give one such as kme.example.org")
    return tuple(dict.fromkeys(names))


def brought(
    wanted: Certificates, kmes: tuple[KmeIdentity, ...], saes: tuple[str, ...], now_epoch_s: int
) -> PkiPaths:
    """Return the certificates of a folder that was brought along, by absolute paths, once all KMEs' hold.

    Raises InputError with everything that is wrong with them; SAEs may keep theirs to themselves.
    """
    assert wanted.folder is not None
    own = pki_paths(wanted.folder.absolute(), kmes, saes)
    ca = wanted.ca.absolute() if wanted.ca is not None else own.ca.certificate
    paths = msgspec.structs.replace(own, ca=CertificatePaths("ca", ca, own.ca.key))
    authorities = _read(ca)
    now = _instant(now_epoch_s)
    faults = [f"{at.certificate}: {fault}" for at in paths.kmes for fault in _faults(at, authorities, now)]
    if faults:
        raise InputError("the certificates that were given do not hold:\n" + "\n".join(faults))
    return paths


def _faults(
    at: CertificatePaths, authorities: Sequence[x509.Certificate], now: datetime.datetime
) -> list[str]:
    try:
        chain = _read(at.certificate)
        key = serialization.load_pem_private_key(_bytes(at.key), password=None)
    except EnvironmentFaultError as fault:
        return [str(fault)]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return [f"its key {at.key} is not an unencrypted private key in PEM"]
    certificate = chain[0]
    faults = []
    if key.public_key() != certificate.public_key():
        faults.append(f"its key {at.key} is that of another certificate")
    if at.key.stat().st_mode & OTHERS:
        faults.append(f"its key {at.key} can be read by others: run `chmod 600 {at.key}`")
    if (state := _state(certificate, now)) not in ("valid", "ends soon"):
        faults.append(f"it is {state}: have it issued again")
    if "server" not in _purpose(certificate):
        faults.append("it is not for servers: have it issued with the extended key usage serverAuth")
    uris = _names(certificate).get_values_for_type(x509.UniformResourceIdentifier)
    others = [uri for uri in uris if uri.lower().startswith(_OURS)]
    if others and at.name not in others:
        faults.append(f"it names {' and '.join(others)}, not {at.name}: have it issued for this KME")
    if not _leads_to(chain, authorities):
        faults.append("the CA that was given did not sign it: give that one with --ca")
    return faults


def _leads_to(chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]) -> bool:
    at = chain[0]
    for _ in chain:
        if any(_issued(at, authority) for authority in authorities):
            return True
        above = [other for other in chain[1:] if other != at and _issued(at, other)]
        if not above:
            return False
        at = above[0]
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _held(file: Path, now: datetime.datetime) -> Held:
    try:
        certificate = _read(file)[0]
    except EnvironmentFaultError as fault:
        return Held(
            file=str(file), subject="", uri="", purpose="", not_before="", not_after="", state=str(fault)
        )
    return Held(
        file=str(file),
        subject=certificate.subject.rfc4514_string(),
        uri=_uri(certificate),
        purpose=_purpose(certificate),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        state=_state(certificate, now),
    )


def _state(certificate: x509.Certificate, now: datetime.datetime) -> str:
    if now < certificate.not_valid_before_utc:
        return "not yet valid"
    if now >= certificate.not_valid_after_utc:
        return "expired"
    return "ends soon" if now >= certificate.not_valid_after_utc - RENEW_BEFORE else "valid"


def _purpose(certificate: x509.Certificate) -> str:
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "CA"
    except (x509.ExtensionNotFound, ValueError):
        pass
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return ", ".join(_PURPOSES.get(usage, usage.dotted_string) for usage in usages)


def _uri(certificate: x509.Certificate) -> str:
    return next(iter(_names(certificate).get_values_for_type(x509.UniformResourceIdentifier)), "")


def _hosts(certificate: x509.Certificate) -> Iterator[str]:
    names = _names(certificate)
    yield from names.get_values_for_type(x509.DNSName)
    yield from map(str, names.get_values_for_type(x509.IPAddress))


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return x509.SubjectAlternativeName([])


def _read(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_bytes(file))
    except ValueError as fault:
        raise EnvironmentFaultError(
            f"{file} is not a certificate in PEM: bring it back, or remove it"
        ) from fault


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise EnvironmentFaultError(f"the file {file} cannot be read: {fault.strerror}") from fault


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _instant(epoch_s: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(epoch_s, datetime.UTC)
