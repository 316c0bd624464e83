"""The Python face: a network that runs inside this process for as long as a `with` block."""

import asyncio
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from qstrata.core.effects import Record
from qstrata.core.errors import EnvironmentFaultError, InputError, InternalError, QstrataError
from qstrata.interfaces.etsi014.client import BlockingEtsi014Client, Key, NoAnswerError, UnavailableError
from qstrata.interfaces.etsi014.types import Status
from qstrata.network.applying import Overlay, as_it_is
from qstrata.network.asking import ask, error_of
from qstrata.network.description import Clock, Description
from qstrata.network.loader import load
from qstrata.network.pki import PkiPaths, client_context
from qstrata.network.remote import (
    AskDescribe,
    Asked,
    AskHeal,
    AskInject,
    AskInspect,
    AskTrace,
    DescribeView,
    Failed,
    FaultsView,
    NetworkView,
    TraceView,
)
from qstrata.network.state import StatePaths, state_paths
from qstrata.network.steps import Step
from qstrata.network.suggestion import did_you_mean
from qstrata.network.supervisor import RunningNetwork, run

UP_S = 60.0
DOWN_S = 60.0
KEYS_S = 30.0

_POLL_S = 0.1

T = TypeVar("T")


class TimedOutError(QstrataError, TimeoutError):
    """What was waited for did not come in time; the text says what is missing."""


class SaeClient:
    """An application: ask its KME for keys over ETSI GS QKD 014 with mutual TLS, with its own certificate.

    Peers are named in full or by the name of their node. Every call raises
    `qstrata.interfaces.etsi014.client.Etsi014Error` when the KME refuses.
    """

    def __init__(self, net: "Network", name: str, url: str, client: BlockingEtsi014Client) -> None:
        self.name = name
        self._url = url
        self._net = net
        self._client = client

    def status(self, peer: str) -> Status:
        """Return the status of the pair with `peer`; opens its session when it has none."""
        return self._client.status(self._net.sae_name(peer))

    def get_keys(self, peer: str, number: int = 1, size_bits: int | None = None) -> tuple[Key, ...]:
        """Return new keys to share with `peer`; `size_bits` None means the session's size."""
        return self._client.get_keys(self._net.sae_name(peer), number, size_bits)

    def get_keys_by_id(self, peer: str, key_ids: Sequence[str]) -> tuple[Key, ...]:
        """Return the keys of these ids that `peer` was given: all, or none and an error."""
        return self._client.get_keys_by_id(self._net.sae_name(peer), key_ids)

    def asks(self, url: str) -> bool:
        """Tell whether it asks the KME at this URL."""
        return self._url == url

    def close(self) -> None:
        """Close the connection; the next call opens one again."""
        self._client.close()


class Network:
    """A network to bring up: a context manager that returns once its KMEs serve.

    It runs in a thread of its own and is spoken to like any other: over mutual TLS by SAEs, over its
    control socket by operators. Calls are for one thread.
    """

    def __init__(
        self, description: Description, state_dir: Path | None = None, overlay: Overlay = as_it_is
    ) -> None:
        self.description = description
        self._overlay = overlay
        self._temporary = state_dir is None
        folder = state_dir or Path(tempfile.gettempdir(), f"qstrata-{secrets.token_hex(8)}")
        self.paths: StatePaths = state_paths(description.name, folder)
        self._thread = threading.Thread(target=self._work, name=f"network {description.name}", daemon=True)
        self._ready = threading.Event()
        self._running: RunningNetwork | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._saes: dict[str, SaeClient] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            if not self._ready.wait(UP_S):
                raise TimedOutError(f"the network did not come up within {UP_S:.0f} s")
            if self._failure is not None:
                raise self._failure
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self._failure is not None and error is None:
            raise self._failure

    def url(self, node: str) -> str:
        """Return the URL of a node's KME; raises InputError for an unknown node."""
        urls = self._network().urls
        if node not in urls:
            raise InputError(f"no node is called {node!r}{did_you_mean(node, list(urls))}")
        return urls[node]

    @property
    def pki(self) -> PkiPaths:
        """Return where the certificates of this network are."""
        return self._network().pki

    def sae_name(self, name: str) -> str:
        """Return the full name of an SAE, which may be given by its node where that has one SAE.

        Raises InputError for a name that nobody has, or that several have.
        """
        saes = self.description.saes
        found = [sae.name for sae in saes if sae.name == name] or [s.name for s in saes if s.node == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(f"node {name} has {len(found)} SAEs: give one of {', '.join(found)}")
        known = [*(sae.name for sae in saes), *(sae.node for sae in saes)]
        raise InputError(f"no SAE is called {name!r}{did_you_mean(name, known)}")

    def sae(self, name: str) -> SaeClient:
        """Return the client of an SAE, by its full name or its node's; the same one each time."""
        full = self.sae_name(name)
        client = self._saes.get(full)
        if client is None:
            node = next(sae.node for sae in self.description.saes if sae.name == full)
            tls = client_context(self.pki.of(full), self.pki.ca.certificate)
            url = self.url(node)
            client = self._saes[full] = SaeClient(self, full, url, BlockingEtsi014Client(url, tls))
        return client

    def inspect(self) -> NetworkView:
        """Return nodes, links, sessions, pools, SAEs and alarms, as control and telemetry see them."""
        return self._ask(AskInspect(), NetworkView)

    def trace(self, wanted: str) -> TraceView:
        """Return the story of a key id, or of the newest keys of a unit; InputError when nobody knows it."""
        return self._ask(AskTrace(wanted=wanted), TraceView)

    def describe(self) -> DescribeView:
        """Return planes, elements and arrows, with message counts and refusals."""
        return self._ask(AskDescribe(), DescribeView)

    def inject(self, kind: str, target: str, amount: float = 1.0) -> FaultsView:
        """Inject a fault: `cut`, `loss` in dB, `raman` in clicks/s, attacks as shares; InputError if not."""
        return self._ask(AskInject(kind=kind, target=target, amount=amount), FaultsView)

    def heal(self, kind: str, target: str) -> FaultsView:
        """End a fault; InputError as the lab says."""
        return self._ask(AskHeal(kind=kind, target=target), FaultsView)

    def apply(
        self, source: "str | PathLike[str] | Description", *, dry_run: bool = False
    ) -> tuple[Step, ...]:
        """Change the network by the difference to a file or a description, and return the steps of the plan.

        Nothing outside of the plan is disturbed; with `dry_run` nothing is. Raises InputError for what no
        running network can change, TimedOutError when control has not settled on it in time.
        """
        network, loop = self._network(), self._loop
        assert loop is not None
        given = source if isinstance(source, Description) else load(source)
        done = asyncio.run_coroutine_threadsafe(network.apply(given, dry_run=dry_run), loop)
        view = done.result()
        self.description = network.description
        nodes = {sae.name: sae.node for sae in self.description.saes}
        for name, client in list(self._saes.items()):
            if name not in nodes or not client.asks(self.url(nodes[name])):
                self._saes.pop(name).close()
        if view.missing:
            raise TimedOutError(f"the plan was applied, and this is not so yet: {'; '.join(view.missing)}")
        return view.steps

    def ledger(self, node: str) -> tuple[Record, ...]:
        """Return the durable rows of a node, read through the store; their key material is a copy."""
        self.url(node)
        return tuple(self._network().store.load(node))

    def wait_for_keys(self, a: str, b: str, number: int = 1, timeout_s: float = KEYS_S) -> None:
        """Wait until `a` can fetch `number` keys to share with `b`; raises TimedOutError."""
        deadline_s = time.monotonic() + timeout_s
        client, last = self.sae(a), "no answer"
        while True:
            try:
                stored = client.status(b).stored_key_count
            except (UnavailableError, NoAnswerError) as error:
                last = str(error)
            else:
                if stored >= number:
                    return
                last = f"{stored} keys are ready"
            if time.monotonic() >= deadline_s:
                raise TimedOutError(
                    f"{a} had no {number} keys to share with {b} within {timeout_s:g} s ({last}): "
                    "see the session's reason and the links' alarms with inspect()"
                )
            time.sleep(_POLL_S)

    def _ask(self, request: Asked, kind: type[T]) -> T:
        self._network()
        answer = ask(self.paths, request)
        if isinstance(answer, Failed):
            raise error_of(answer)
        if not isinstance(answer, kind):
            raise InternalError(f"a {type(request).__name__} was answered with a {type(answer).__name__}")
        return answer

    def _network(self) -> RunningNetwork:
        if self._failure is not None:
            raise EnvironmentFaultError(f"the network has ended: {self._failure}") from self._failure
        if self._running is None or not self._thread.is_alive():
            raise InputError("the network is not up: use it inside its 'with' block")
        return self._running

    def _work(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = stop = asyncio.Event()

        def ready(network: RunningNetwork) -> None:
            self._running = network
            self._ready.set()

        await run(self.description, self.paths, overlay=self._overlay, ready=ready, stop=stop)

    def _end(self) -> None:
        for client in self._saes.values():
            client.close()
        self._saes.clear()
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DOWN_S)
        if self._temporary:
            shutil.rmtree(self.paths.root, ignore_errors=True)


def network(
    source: "str | PathLike[str] | Description",
    *,
    initial_key_bits: int | None = None,
    seed: int | None = None,
    rate: float | None = None,
    state_dir: "str | PathLike[str] | None" = None,
) -> Network:
    """Return a network to bring up: the name of a shipped one, a file, or a description.

    `initial_key_bits` are placed on every link at the start; `seed` makes draws repeat; `rate` scales the
    clock (network seconds per second; None keeps the file's clock). Its state is in `state_dir`, or in a
    temporary folder that is removed. KMEs listen on any free ports of the loopback. Raises as
    `qstrata.network.loader.load`.
    """
    clock = None if rate is None else Clock(mode="scaled", rate=rate)

    def overlay(given: Description) -> Description:
        return given.with_overrides(
            initial_key_bits=initial_key_bits,
            seed=msgspec.UNSET if seed is None else seed,
            ports="ephemeral",
            clock=clock,
        )

    given = source if isinstance(source, Description) else load(source)
    return Network(overlay(given), None if state_dir is None else Path(state_dir), overlay)
