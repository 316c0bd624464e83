"""Load for a network that is killed: SAEs that ask for keys and fetch them, and remember every call."""

import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.interfaces.etsi014.client import (
    BadRequestError,
    BlockingEtsi014Client,
    Etsi014Error,
    Key,
    NoAnswerError,
    UnauthorizedError,
    UnavailableError,
)
from qstrata.network.loader import load_text
from qstrata.network.origin import SALT_BYTES
from qstrata.network.pki import KmeIdentity, PkiPaths, client_context, pki_paths
from qstrata.network.shipped import shipped_text
from qstrata.network.state import StatePaths, read_run, state_paths
from qstrata.testing.history import ClientCall, Outcome

MADRID = load_text(shipped_text("madrid"), "madrid.yaml")
NODES = tuple(node.name for node in MADRID.nodes)
SAES = {sae.node: sae.name for sae in MADRID.saes}
PAIRS = (("quintin", "aquiles"), ("aquiles", "quevedo"), ("quijote", "quintin"), ("quevedo", "quijote"))
"""Each pair is asked in both directions, by a thread of its own."""
KEYS_MAX = 3
LATER_SHARE = 0.3
BREATH_S = 0.02


class Killed:
    """A network in a process: start it, kill it, start it again."""

    def __init__(self, root: Path) -> None:
        self.paths: StatePaths = state_paths("madrid", root)
        self.urls: dict[str, str] = {}
        self.life = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process, and return once it serves."""
        self.launch()
        self.serve()

    def launch(self) -> None:
        """Start the process, and return at once."""
        script = Path(__file__).with_name("kill_nine_network.py")
        command = [sys.executable, str(script), str(self.paths.root)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def serve(self) -> None:
        """Return once the process serves."""
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "up\n", "the network did not come up again"
        record = read_run(self.paths)
        assert record is not None
        self.urls = {row.node: f"https://127.0.0.1:{row.port}" for row in record.ports}
        self.life += 1

    def kill(self) -> None:
        """Kill the process as kill -9 does."""
        self._end(gently=False)

    def stop(self) -> None:
        """Take the network down in order."""
        self._end(gently=True)

    def _end(self, gently: bool) -> None:
        process = self._process
        if process is None:
            return
        self._process = None
        if gently:
            process.terminate()
        else:
            process.kill()
        process.communicate(timeout=60)

    @property
    def pki(self) -> PkiPaths:
        """Return where the certificates are."""
        kmes = tuple(KmeIdentity(node, MADRID.kme_name(node)) for node in NODES)
        return pki_paths(self.paths.pki, kmes, tuple(SAES.values()))

    @property
    def salt(self) -> bytes:
        """Return the salt of the digests in the event log."""
        salt = self.paths.sealing_key.with_name("salt").read_bytes()
        assert len(salt) == SALT_BYTES
        return salt


class Sae:
    """One application: it calls its KME over mutual TLS, and remembers what came of it."""

    def __init__(self, network: Killed, node: str, calls: list[ClientCall], since_s: float) -> None:
        pki = network.pki
        self._network = network
        self._node = node
        self._tls: ssl.SSLContext = client_context(pki.of(SAES[node]), pki.ca.certificate)
        self._salt = network.salt
        self._calls = calls
        self._since_s = since_s
        self._client: BlockingEtsi014Client | None = None
        self._life = 0

    def enc(self, peer: str, number: int) -> tuple[str, ...]:
        """Ask for keys to share with the SAE of a node; returns their ids."""
        return self._call("enc", peer, (), number)

    def dec(self, peer: str, key_ids: tuple[str, ...]) -> bool:
        """Fetch keys that the SAE of a node was given; False when nobody was there to be asked."""
        before = len(self._calls)
        self._call("dec", peer, key_ids, 0)
        return len(self._calls) > before

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(self, verb: str, peer: str, key_ids: tuple[str, ...], number: int) -> tuple[str, ...]:
        client = self._connected()
        started_ps = self._now_ps()
        keys: tuple[Key, ...] = ()
        outcome = Outcome.DELIVERED
        try:
            if verb == "enc":
                keys = client.get_keys(SAES[peer], number)
            else:
                keys = client.get_keys_by_id(SAES[peer], key_ids)
        except NoAnswerError as error:
            if isinstance(error.__cause__, ConnectionRefusedError):
                return ()
            outcome = Outcome.UNKNOWN
        except UnavailableError:
            outcome = Outcome.UNAVAILABLE
        except (BadRequestError, UnauthorizedError):
            outcome = Outcome.REFUSED
        except Etsi014Error:
            outcome = Outcome.UNKNOWN
        ids = tuple(key.key_id for key in keys) or key_ids
        digests = tuple(key.bits.digest(self._salt) for key in keys)
        call = ClientCall(
            started_ps=started_ps,
            ended_ps=self._now_ps(),
            sae=SAES[self._node],
            peer=SAES[peer],
            verb=verb,
            key_ids=ids,
            digests=digests,
            outcome=outcome,
        )
        self._calls.append(call)
        return tuple(key.key_id for key in keys)

    def _connected(self) -> BlockingEtsi014Client:
        if self._client is None or self._life != self._network.life:
            self.close()
            self._life = self._network.life
            self._client = BlockingEtsi014Client(self._network.urls[self._node], self._tls)
        return self._client

    def _now_ps(self) -> int:
        return int((time.monotonic() - self._since_s) * PS_PER_S)


class Pair(threading.Thread):
    """Two SAEs that ask for keys, and fetch most of them at once, some of them much later."""

    def __init__(self, network: Killed, ends: tuple[str, str], seed: int, since_s: float) -> None:
        super().__init__(name=f"{ends[0]} and {ends[1]}", daemon=True)
        self.calls: list[ClientCall] = []
        self.failure: Exception | None = None
        self._draw = stream(seed, "pair", *ends)
        self._ends = ends
        self._saes = {node: Sae(network, node, self.calls, since_s) for node in ends}
        self._later: list[tuple[str, str, tuple[str, ...]]] = []
        self._over = threading.Event()

    def run(self) -> None:
        """Ask and fetch until told to end."""
        turn = 0
        try:
            while not self._over.wait(BREATH_S):
                turn += 1
                site, peer = self._ends if turn % 2 else reversed(self._ends)
                self._exchange(site, peer)
        except Exception as error:
            self.failure = error

    def _exchange(self, site: str, peer: str) -> None:
        key_ids = self._saes[site].enc(peer, int(self._draw.integers(1, KEYS_MAX + 1)))
        if not key_ids:
            return
        if self._draw.random() < LATER_SHARE or not self._saes[peer].dec(site, key_ids):
            self._later.append((site, peer, key_ids))

    def finish(self) -> None:
        """End the load, and fetch what was left for later; the network is up."""
        self._over.set()
        self.join()
        for site, peer, key_ids in self._later:
            assert self._saes[peer].dec(site, key_ids)
        for sae in self._saes.values():
            sae.close()
        if self.failure is not None:
            raise self.failure


def given(calls: list[ClientCall]) -> list[str]:
    """Return the ids of the keys that were acknowledged to who asked for them."""
    return [
        i for call in calls if (call.verb, call.outcome) == ("enc", Outcome.DELIVERED) for i in call.key_ids
    ]
