"""`demo`: a network in the foreground, and one key fetched at its two ends, by hand or by itself."""

import asyncio
import shlex
import sys
import time
from pathlib import Path

import msgspec

from qstrata.cli import bringing_up
from qstrata.cli.durations import spoken
from qstrata.cli.endings import CheckFailedError, talk
from qstrata.cli.tables import Table, out
from qstrata.cli.tables import show as show_tables
from qstrata.core.errors import InputError
from qstrata.interfaces.etsi014.client import Etsi014Client, UnavailableError, path_of
from qstrata.interfaces.etsi014.types import DEC_KEYS, ENC_KEYS
from qstrata.network.description import Description
from qstrata.network.loader import load
from qstrata.network.pki import client_context
from qstrata.network.remote import NetworkView, SaeView
from qstrata.network.state import StatePaths, state_paths
from qstrata.network.supervisor import RunningNetwork

_FIRST_KEYS_S = 30.0
_PATH_S = 5.0
_PAUSE_S = 0.1
_READ_KEY_ID = 'import json, sys; print(json.load(open(sys.argv[1]))["keys"][0]["key_ID"])'


class Lines(msgspec.Struct, frozen=True):
    """The two lines to paste: the first fetches a key and keeps the answer, the second asks by its id."""

    asking: str
    fetching: str


def show(source: str, state_dir: Path | None) -> None:
    """Bring a network up, print how to fetch one key at its two ends, and serve until told to end."""
    description, pair = _chosen(source)
    paths = state_paths(description.name, state_dir)
    options = [description.name] if state_dir is None else ["--state-dir", str(paths.root)]

    async def tell(network: RunningNetwork, stop: asyncio.Event) -> None:
        has_keys = await _keys_ready(network, pair)
        view, way = await _path_granted(network, pair)
        _print_guide(view, pair, way, paths, options, has_keys)

    talk(f"bringing up {description.name} ...")
    bringing_up.serve(description, paths, tell)
    talk(f"network {description.name} is down")


def check(source: str, state_dir: Path | None) -> None:
    """Bring a network up, fetch one key at its two ends, compare, and take it down.

    Raises CheckFailedError when the ends differ, or no key comes in time.
    """
    description, pair = _chosen(source)
    begun = time.monotonic()
    verdicts: list[str] = []

    async def fetch(network: RunningNetwork, stop: asyncio.Event) -> None:
        verdicts.append(await _verdict(network, pair, begun))
        stop.set()

    talk(f"bringing up {description.name} ...")
    try:
        bringing_up.serve(description, state_paths(description.name, state_dir), fetch)
    except CheckFailedError:
        out("FAIL")
        raise
    if not verdicts:
        raise CheckFailedError("the network was ended before a key was fetched")
    out(f"OK  {verdicts[0]}")


def lines(asking: SaeView, fetching: SaeView, answer: Path) -> Lines:
    """Return the two lines; `answer` is the file that the first writes and the second reads."""
    get = shlex.join([*_curl(asking), f"{asking.url}{path_of(fetching.name, ENC_KEYS)}"])
    by_id = shlex.quote(f"{fetching.url}{path_of(asking.name, DEC_KEYS)}?key_ID=")
    return Lines(
        asking=f"{get} | tee {shlex.quote(str(answer))}",
        fetching=f'{shlex.join(_curl(fetching))} {by_id}"$({_key_id_of(answer)})"',
    )


def _curl(sae: SaeView) -> list[str]:
    return ["curl", "-sS", "-w", r"\n", "--cacert", sae.ca, "--cert", sae.certificate, "--key", sae.key]


def _chosen(source: str) -> tuple[Description, tuple[str, str]]:
    """Return the network and the pair to show: the first declared session, else the first allowed pair."""
    description = load(source)
    allowed = (pair for pair in description.allowed_pairs if pair[0] != pair[1])
    pairs = [*(session.between for session in description.sessions), *allowed]
    if not pairs:
        raise InputError(f"network {description.name} has no two SAEs that may share keys: nothing to show")
    return description, pairs[0]


def _client(network: RunningNetwork, sae: str) -> Etsi014Client:
    node = next(known.node for known in network.description.saes if known.name == sae)
    tls = client_context(network.pki.of(sae), network.pki.ca.certificate)
    return Etsi014Client(network.urls[node], tls)


async def _keys_ready(network: RunningNetwork, pair: tuple[str, str]) -> bool:
    """Wait until the pair's KME has keys; returns False when that takes too long."""
    limit = time.monotonic() + _FIRST_KEYS_S
    async with _client(network, pair[0]) as client:
        while time.monotonic() < limit:
            try:
                if (await client.status(pair[1])).stored_key_count:
                    return True
            except UnavailableError:
                pass
            await asyncio.sleep(_PAUSE_S)
    return False


async def _path_granted(
    network: RunningNetwork, pair: tuple[str, str]
) -> tuple[NetworkView, tuple[str, ...]]:
    """Wait until the pair's keys have a path, which after a restart comes later than the keys kept."""
    limit = time.monotonic() + _PATH_S
    while True:
        view = await network.desk.inspect()
        units = (session.unit for session in view.sessions)
        way = next((unit.sites for unit in units if {unit.a, unit.b} == set(pair)), ())
        if way or time.monotonic() > limit:
            return view, way
        await asyncio.sleep(_PAUSE_S)


async def _verdict(network: RunningNetwork, pair: tuple[str, str], begun: float) -> str:
    a, b = pair
    if not await _keys_ready(network, pair):
        raise CheckFailedError(f"no key for {a} and {b} within {_FIRST_KEYS_S:g} s: is `initial-key-bits` 0?")
    async with _client(network, a) as asking, _client(network, b) as fetching:
        (key,) = await asking.get_keys(b)
        elapsed_s = time.monotonic() - begun
        (same,) = await fetching.get_keys_by_id(a, [key.key_id])
    if key.key_id != same.key_id or key.bits != same.bits:
        raise CheckFailedError(f"key {key.key_id} is not the same at {a} and {b}")
    size_bits = key.bits.size_bits
    key.bits.wipe()
    same.bits.wipe()
    return f"key {key.key_id}: the same {size_bits} bits for {a} and {b}, {spoken(elapsed_s)} after the start"


def _print_guide(
    view: NetworkView,
    pair: tuple[str, str],
    way: tuple[str, ...],
    paths: StatePaths,
    options: list[str],
    has_keys: bool,
) -> None:
    saes = {sae.name: sae for sae in view.saes}
    a, b = (saes[name] for name in pair)
    answer = paths.root / "key.json"
    made = lines(a, b, answer)
    rows = tuple((sae.name, sae.node, sae.url) for sae in view.saes)
    out(f"{view.name} is up: {len(view.nodes)} sites, {len(view.links)} links, {len(view.saes)} SAEs")
    show_tables([Table("SAEs", ("name", "at", "URL"), rows)])
    if not has_keys:
        out("\nThis pair has no key yet: the first link blocks take their time.")
    out(f"\nFetch a key for {a.name}, and the same key for {b.name}; {_told(way)}:\n")
    out(f"{made.asking}\n\n{made.fetching}\n")
    out("Look into it from another terminal:\n")
    for words in (["inspect"], ["describe"]):
        out(shlex.join([*_command(), *words, *options]))
    out(f'{shlex.join([*_command(), "trace"])} "$({_key_id_of(answer)})" {shlex.join(options)}\n')
    out("Ctrl-C ends it.")
    sys.stdout.flush()


def _told(way: tuple[str, ...]) -> str:
    return f"it is relayed along {' - '.join(way)}" if way else "no path is granted yet"


def _key_id_of(answer: Path) -> str:
    return shlex.join([sys.executable, "-c", _READ_KEY_ID, str(answer)])


def _command() -> list[str]:
    script = Path(sys.executable).with_name("qstrata")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "qstrata.cli"]
