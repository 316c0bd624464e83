"""`keys`: ask a KME for keys as an SAE does, over ETSI GS QKD 014 with mutual TLS."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from cyclopts import App, Parameter

from qstrata.cli.arguments import Json, Network, StateDir
from qstrata.cli.endings import UsageError
from qstrata.cli.places import ask, place_of
from qstrata.cli.tables import Table, show, show_json
from qstrata.core.errors import InputError
from qstrata.network.remote import AskInspect, NetworkView, SaeView

if TYPE_CHECKING:
    from qstrata.interfaces.etsi014.client import BlockingEtsi014Client
    from qstrata.interfaces.etsi014.client import Key as SaeKey

keys = App(
    name="keys",
    help="Ask a KME for keys as an SAE does (ETSI GS QKD 014, mutual TLS); SAEs by name or by node.",
)

Peer = Annotated[str, Parameter(name="--to", help="SAE to share keys with: its full name, or its node.")]
Asking = Annotated[
    str | None, Parameter(name="--from", help="SAE that asks: its full name, or its node; not with --url.")
]
Url = Annotated[
    str | None, Parameter(help="KME to ask instead of a network's own, https://host:port; with all of below.")
]
Cert = Annotated[Path | None, Parameter(help="Certificate (PEM) of the SAE that asks, with --url.")]
Key = Annotated[Path | None, Parameter(help="Private key (PEM) of that certificate, with --url.")]
Ca = Annotated[Path | None, Parameter(help="CA (PEM) that signed the KME's certificate, with --url.")]
ShowKeys = Annotated[
    bool, Parameter(help="Print the keys themselves, base64 in JSON; without, ids and lengths.")
]

T = TypeVar("T")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """How the KME is to be reached: by a network that is up, or by URL and files."""

    network: str | None
    state_dir: Path | None
    url: str | None
    cert: Path | None
    key: Path | None
    ca: Path | None


class _Known(msgspec.Struct, frozen=True):
    """Where to ask, and the full names of the SAE that asks, of its peer, and of further ones."""

    sae: SaeView
    peer: str
    also: tuple[str, ...] = ()


@keys.command
def status(
    *,
    to: Peer,
    from_: Asking = None,
    network: Network = None,
    state_dir: StateDir = None,
    url: Url = None,
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
    json: Json = False,
) -> None:
    """Show what a KME says of a pair of SAEs: its figures, and how many keys are stored."""
    given = Given(network=network, state_dir=state_dir, url=url, cert=cert, key=key, ca=ca)
    known = _known(given, from_, to, "--from")
    found = _asked(known, lambda client: client.status(known.peer))
    if json:
        show_json(found)
    else:
        rows = tuple((name, str(value)) for name, value in msgspec.structs.asdict(found).items())
        show([Table("status", ("field", "value"), rows)])


@keys.command
def get(
    *,
    to: Peer,
    from_: Asking = None,
    number: Annotated[int, Parameter(help="How many keys.")] = 1,
    size: Annotated[int | None, Parameter(help="Bits of each key; default: the session's size.")] = None,
    also: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            help="SAE that shares the same keys too: its full name, or its node. May be given again.",
        ),
    ] = (),
    show_keys: ShowKeys = False,
    network: Network = None,
    state_dir: StateDir = None,
    url: Url = None,
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
    json: Json = False,
) -> None:
    """Get new keys, which the SAEs that share them fetch by their ids (`keys fetch`)."""
    given = Given(network=network, state_dir=state_dir, url=url, cert=cert, key=key, ca=ca)
    known = _known(given, from_, to, "--from", also)

    def get(client: "BlockingEtsi014Client") -> Container:
        return _carried(client.get_keys(known.peer, number, size, known.also), show_keys)

    _show(_asked(known, get), json)


@keys.command
def fetch(
    *ids: Annotated[str, Parameter(name="KEY-ID", help="Ids of the keys.")],
    from_: Annotated[str, Parameter(name="--from", help="SAE that was given the keys: full name, or node.")],
    at: Annotated[
        str | None, Parameter(help="SAE that fetches: its full name, or its node; not with --url.")
    ] = None,
    show_keys: ShowKeys = False,
    network: Network = None,
    state_dir: StateDir = None,
    url: Url = None,
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
    json: Json = False,
) -> None:
    """Fetch keys by id at the KME of the other SAE; each key once."""
    if not ids:
        raise UsageError("no key id is given: `keys get` prints them")
    given = Given(network=network, state_dir=state_dir, url=url, cert=cert, key=key, ca=ca)
    known = _known(given, at, from_, "--at")
    _show(_asked(known, lambda client: _carried(client.get_keys_by_id(known.peer, ids), show_keys)), json)


class Carried(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key to print; `key` is its bits in base64, only where they are to be shown."""

    key_ID: str  # noqa: N815 - the standard's spelling
    size_bits: int
    key: str | None = None

    def __repr__(self) -> str:
        """Show the id and the length alone."""
        return f"Carried({self.key_ID}, {self.size_bits} bits)"


class Container(msgspec.Struct, frozen=True):
    """The keys that a command prints."""

    keys: tuple[Carried, ...]


def _show(container: Container, as_json: bool) -> None:
    if as_json or any(key.key is not None for key in container.keys):
        show_json(container)
    else:
        rows = tuple((key.key_ID, str(key.size_bits)) for key in container.keys)
        show([Table("keys", ("key id", "bits>"), rows)])


def _known(given: Given, own: str | None, peer: str, option: str, also: tuple[str, ...] = ()) -> _Known:
    files = {"--cert": given.cert, "--key": given.key, "--ca": given.ca}
    if given.url is not None:
        missing = [name for name, path in files.items() if path is None]
        if missing or own is not None:
            fault = f"add {', '.join(missing)}" if missing else f"leave {option} out: its certificate says it"
            raise UsageError(f"--url is that of a KME of somebody else: {fault}")
        certificate, key, ca = map(str, files.values())
        sae = SaeView(name="", node="", url=given.url, certificate=certificate, key=key, ca=ca)
        return _Known(sae, peer, also)
    if own is None:
        raise UsageError(f"{option} is missing: say which SAE asks, or give --url, --cert, --key and --ca")
    alone = [name for name, path in files.items() if path is not None]
    if alone:
        raise UsageError(f"{', '.join(alone)} go with --url: an SAE of a network that is up has its own")
    saes = ask(place_of(given.network, given.state_dir), AskInspect(), NetworkView).saes
    return _Known(_sae(saes, own), _sae(saes, peer).name, tuple(_sae(saes, name).name for name in also))


def _sae(saes: Sequence[SaeView], name: str) -> SaeView:
    found = [sae for sae in saes if sae.name == name] or [sae for sae in saes if sae.node == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"node {name} has {len(found)} SAEs: give one of {', '.join(s.name for s in found)}")
    from qstrata.network.suggestion import did_you_mean

    words = [*(sae.node for sae in saes), *(sae.name for sae in saes)]
    raise InputError(f"no SAE is called {name!r}{did_you_mean(name, words)}")


def _asked(known: _Known, question: "Callable[[BlockingEtsi014Client], T]") -> T:
    from qstrata.interfaces.etsi014.client import BlockingEtsi014Client
    from qstrata.network.pki import CertificatePaths, client_context

    sae = known.sae
    tls = client_context(CertificatePaths(sae.name, Path(sae.certificate), Path(sae.key)), Path(sae.ca))
    with BlockingEtsi014Client(sae.url, tls) as client:
        return question(client)


def _carried(keys: "Sequence[SaeKey]", show_keys: bool) -> Container:
    made = []
    for key in keys:
        size_bits = key.bits.size_bits
        bits = base64.b64encode(key.bits.reveal()).decode() if show_keys else None
        key.bits.wipe()
        made.append(Carried(key.key_id, size_bits, bits))
    return Container(tuple(made))
