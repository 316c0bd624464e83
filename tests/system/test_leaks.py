"""Known key bytes are nowhere but in the answer that gave them: not in logs, views, errors or files."""

import base64
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

import qstrata
from qstrata.core.secrets import KeyMaterial
from qstrata.interfaces.etsi014 import server as servers
from qstrata.interfaces.etsi014.client import BlockingEtsi014Client, Etsi014Error
from qstrata.network.asking import ask
from qstrata.network.pki import CertificatePaths, client_context
from qstrata.network.remote import AskInspect, NetworkView
from qstrata.network.shipped import shipped_text
from qstrata.network.state import StatePaths, state_paths
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import SqliteStore

SITES = ("quintin", "quijote", "quevedo", "aquiles")
LINE = [str(Path(sys.executable).with_name("qstrata"))]
LENGTH = 16
"""Bytes of a secret that are looked for: enough to be no accident."""


def forms(secret: bytes) -> Iterator[bytes]:
    """Return how these bytes may appear: raw, hex, base64 and base64url at each of three alignments."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for shift, skipped in ((0, 0), (1, 2), (2, 3)):
        padded = bytes(shift) + secret
        whole = len(padded) * 8 // 6
        yield base64.b64encode(padded)[skipped:whole]
        yield base64.urlsafe_b64encode(padded)[skipped:whole]


def found(secrets: Iterable[bytes], places: dict[str, bytes]) -> list[str]:
    """Return in which places any of the secrets is, in any form."""
    needles = {form for secret in secrets for form in forms(secret[:LENGTH])}
    return [name for name, text in places.items() if any(needle in text for needle in needles)]


def held(paths: StatePaths) -> list[bytes]:
    """Return all key material that the ledger of a network that is down holds."""

    def ignore(fault: Exception) -> None:
        raise fault

    store = SqliteStore(paths.ledger, FileKeyProvider(paths.sealing_key), ignore)
    try:
        rows = [row for site in SITES for row in store.load(site)]
        values = [getattr(row, name) for row in rows for name in row.__struct_fields__]
        return [value.reveal() for value in values if isinstance(value, KeyMaterial)]
    finally:
        store.close()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(*words: str, check: bool = True) -> bytes:
    done = subprocess.run([*LINE, *words], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout + done.stderr


class Saes:
    """The SAEs of a running network, and everything that they were told but keys."""

    def __init__(self, paths: StatePaths) -> None:
        view = ask(paths, AskInspect())
        assert isinstance(view, NetworkView)
        self.names = {sae.node: sae.name for sae in view.saes}
        self.clients = {}
        for sae in view.saes:
            own = CertificatePaths(sae.name, Path(sae.certificate), Path(sae.key))
            self.clients[sae.node] = BlockingEtsi014Client(sae.url, client_context(own, Path(sae.ca)))
        self.errors: list[str] = []
        self.keys: dict[str, bytes] = {}

    def enc(self, a: str, b: str, number: int = 1, size_bits: int | None = None) -> list[str]:
        keys = self.clients[a].get_keys(self.names[b], number, size_bits)
        self.keys |= {key.key_id: key.bits.reveal() for key in keys}
        return [key.key_id for key in keys]

    def dec(self, a: str, b: str, ids: list[str]) -> None:
        for key in self.clients[a].get_keys_by_id(self.names[b], ids):
            assert self.keys[key.key_id] == key.bits.reveal()

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        with pytest.raises(Etsi014Error) as error:
            yield
        self.errors += [str(error.value), repr(error.value)]


def use(saes: Saes) -> list[str]:
    """Have keys delivered in all ways there are, and refused; return the ids of some."""
    ids = saes.enc("quintin", "aquiles", 4)
    saes.dec("aquiles", "quintin", ids[:2])
    on_demand = saes.enc("quintin", "aquiles", 2, 512)
    saes.dec("aquiles", "quintin", on_demand)
    with saes.refused():
        saes.dec("aquiles", "quintin", ids[:2])
    with saes.refused():
        saes.dec("quintin", "aquiles", ids[2:])
    with saes.refused():
        saes.dec("quevedo", "quintin", ids[2:])
    with saes.refused():
        saes.enc("quintin", "aquiles", 1, 7)
    return ids


def test_search_finds_what_is_there_in_every_form() -> None:
    secret = bytes(range(200, 232))
    places = {
        "raw": b"xx" + secret,
        "hex": b"\\x" + secret.hex().encode(),
        "inside base64": base64.b64encode(b"abcd" + secret + b"e"),
        "inside base64url": base64.urlsafe_b64encode(b"abcde" + secret),
        "nothing": b"nothing",
    }
    assert found([secret], places) == ["raw", "hex", "inside base64", "inside base64url"]


@pytest.mark.slow
def test_keys_are_in_no_file_view_log_or_error_of_a_network(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    paths = state_paths("madrid", folder)
    at = ("--state-dir", str(folder))
    network = tmp_path / "madrid.yaml"
    network.write_text(re.sub(r"port: \d+", "port: 0", shipped_text("madrid")))
    out = {"up": command("up", str(network), "--detach", "--log-events", *at)}
    try:
        following = subprocess.Popen([*LINE, "events", "--json", *at], stdout=subprocess.PIPE)
        saes = Saes(paths)
        wait(saes, "quintin", "aquiles")
        ids = use(saes)
        out["inject"] = command("inject", "kme-lost-answer", "kme/aquiles", *at)
        with saes.refused():
            saes.dec("aquiles", "quintin", ids[2:])
        out["heal"] = command("heal", "kme-lost-answer", "kme/aquiles", *at)
        for view in (("inspect",), ("trace", ids[0]), ("describe",)):
            out[view[0]] = command(*view, *at) + command(*view, "--json", *at)
        out["trace of nobody's key"] = command("trace", "nobody", *at, check=False)
        running = files(folder)
        saes.close()
    finally:
        out["down"] = command("down", *at)
    out["events"], _ = following.communicate(timeout=60)
    out["errors"] = "\n".join(saes.errors).encode()
    secrets = [*saes.keys.values(), *held(paths)]
    places = {**out, **{f"{name} while up": text for name, text in running.items()}, **files(folder)}
    assert len(saes.keys) == 6
    assert out["events"]
    assert len(secrets) > 20
    assert {"data/ledger.db", "data/events.log", "inspect", "trace", "describe", "events", "errors"} <= set(
        places
    )
    assert all(key_id.encode() in places["data/events.log"] for key_id in saes.keys)
    assert found(secrets, places) == []


def wait(saes: Saes, a: str, b: str) -> None:
    for _ in range(300):
        with contextlib.suppress(Etsi014Error):
            if saes.clients[a].status(saes.names[b]).stored_key_count >= 8:
                return
        command("version")
    pytest.fail("no keys came")


def test_keys_are_not_in_the_crash_log_of_a_fault_that_had_them_in_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with qstrata.network("madrid", state_dir=tmp_path / "net") as net:
        net.wait_for_keys("quintin", "aquiles", 4)
        pooled = [row.bits.reveal() for row in net.ledger("quintin") if getattr(row, "bits", None)]

        def fail(answer: object, *more: object, **given: object) -> bytearray:
            raise RuntimeError(f"cannot write {answer!r} {answer} {more}")

        with monkeypatch.context() as patched:
            patched.setattr(servers, "answer_bytes", fail)
            with pytest.raises(Etsi014Error, match="internal error") as raised:
                net.sae("quintin").get_keys("aquiles", 2)
        views = [net.inspect(), net.describe()]
        log = (net.paths.data / "crash.log").read_bytes()
        running = files(net.paths.root)
    assert b"RuntimeError: cannot write HttpAnswer(200," in log
    assert len(pooled) >= 4
    places = {"error": repr(raised.value).encode(), "views": msgspec.json.encode(views), **running}
    assert found(pooled, places) == []
    assert json.loads(places["views"])
