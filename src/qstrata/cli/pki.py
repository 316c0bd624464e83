"""`pki`: the certificates of a network: listed, renewed, handed to an application."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from qstrata.cli.arguments import Json, Name, Network, StateDir, usage
from qstrata.cli.endings import talk
from qstrata.cli.places import ask, place_of
from qstrata.cli.tables import Table, out, show, show_json
from qstrata.core.errors import InputError
from qstrata.core.time import wall_clock_ns
from qstrata.network.remote import AskReload, Done
from qstrata.network.state import running_pid

pki = App(name="pki", help="List, renew and hand out the certificates of a network.")

CertDir = Annotated[
    Path | None, Parameter(help="Folder of certificates of your own, as for `up`, instead of the network's.")
]

_NS_PER_S = 1_000_000_000


@pki.command(name="show", usage=usage("pki show", "NAME"))
def show_(
    name: Name = None, /, *, cert_dir: CertDir = None, json: Json = False, state_dir: StateDir = None
) -> None:
    """List the certificates: whom they name, what they are for, how long they are valid, their files."""
    from qstrata.network.certificates import folder_of, held_certificates

    held = held_certificates(cert_dir or folder_of(place_of(name, state_dir).paths), _now_s())
    if json:
        show_json(held)
        return
    rows = tuple(
        (row.uri or row.subject, row.purpose, row.state, row.not_before[:10], row.not_after[:10], row.file)
        for row in held
    )
    show([Table("certificates", ("name", "for", "state", "from", "until", "file"), rows)])


@pki.command(usage=usage("pki renew", "NAME"))
def renew(name: Name = None, /, *, json: Json = False, state_dir: StateDir = None) -> None:
    """Make new certificates and keys for all KMEs and SAEs that have one of the demo CA; the CA stays.

    What it replaces stays valid until it ends. SAEs use theirs at once, and so do the KMEs of a network that
    is up, for connections to come.
    """
    from qstrata.network.certificates import folder_of, held_certificates
    from qstrata.network.certificates import renew as renew_all

    place = place_of(name, state_dir)
    folder = folder_of(place.paths)
    renew_all(folder, _now_s())
    held = held_certificates(folder, _now_s())
    if json:
        show_json(held)
    else:
        for row in held[1:]:
            out(f"{row.file}  {row.uri}  until {row.not_after[:10]}")
    if running_pid(place.paths) is not None:
        talk(ask(place, AskReload(), Done).text)


@pki.command(usage=usage("pki reload", "NAME"))
def reload(name: Name = None, /, *, state_dir: StateDir = None) -> None:
    """Have the KMEs of a network that is up read certificates, CA and revocation list again, all or none.

    They count for connections to come; those that stand go on.
    """
    talk(ask(place_of(name, state_dir), AskReload(), Done).text)


@pki.command
def export(
    who: Annotated[str, Parameter(help="SAE or KME: its name, or its node for the SAE of a node.")],
    folder: Annotated[Path, Parameter(help="Folder to copy certificate, key and CA into.")],
    /,
    *,
    network: Network = None,
    state_dir: StateDir = None,
) -> None:
    """Copy certificate and key of an SAE or a KME, and the CA's certificate, for whoever is to use them."""
    from qstrata.network.certificates import ca_of, folder_of, held_certificates
    from qstrata.network.certificates import export as copy
    from qstrata.network.pki import CertificatePaths
    from qstrata.network.suggestion import did_you_mean

    state = place_of(network, state_dir).paths
    root = folder_of(state)
    held = [row for row in held_certificates(root, _now_s()) if row.uri]
    found = [row for row in held if row.uri == who or Path(row.file).name == f"{who}.sae.pem"]
    if not found:
        raise InputError(f"nobody here is called {who!r}{did_you_mean(who, [row.uri for row in held])}")
    certificate = Path(found[0].file)
    paths = CertificatePaths(found[0].uri, certificate, certificate.with_suffix(".key"))
    for file in copy(paths, ca_of(state), folder):
        out(str(file))


def _now_s() -> int:
    return wall_clock_ns() // _NS_PER_S
