"""Keys, events, certificates, doctor and completion on a network in real time, by real processes."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from qstrata.network.doctor import Check
from qstrata.network.events import AnyEvent, Ended, FaultChanged, Levels, LinkChanged, Snapshot
from qstrata.network.remote import SaeView
from qstrata.network.state import hold
from tests.system.test_cli import PATIENCE_S, QSTRATA, Lab, lab, ports_of

__all__ = ["lab"]

pytestmark = pytest.mark.slow


@pytest.fixture
def saes(lab: Lab) -> dict[str, SaeView]:
    printed = lab.run("up", str(lab.file), "--detach", "--json")
    return {sae.node: sae for sae in msgspec.json.decode(printed, type=tuple[SaeView, ...])}


def foreign(sae: SaeView) -> list[str]:
    return ["--url", sae.url, "--cert", sae.certificate, "--key", sae.key, "--ca", sae.ca]


def wait_for_keys(lab: Lab, number: int) -> None:
    words = ["keys", "status", "--from", "quintin", "--to", "aquiles", "--json"]
    for _ in range(PATIENCE_S):
        run = subprocess.run([*QSTRATA, *words], env=lab.environ, capture_output=True, timeout=PATIENCE_S)
        if run.returncode == 0 and json.loads(run.stdout)["stored_key_count"] >= number:
            return
        assert run.returncode in (0, 4), run.stderr
    pytest.fail(f"no {number} keys came")


def test_keys_are_got_at_one_end_and_fetched_once_at_the_other(lab: Lab, saes: dict[str, SaeView]) -> None:
    wait_for_keys(lab, 3)
    got = json.loads(
        lab.run("keys", "get", "--from", "quintin", "--to", "aquiles", "--number", "2", "--show-keys")
    )["keys"]
    ids = [key["key_ID"] for key in got]
    quintin = saes["quintin"].name
    fetched = json.loads(
        lab.run("keys", "fetch", "--from", quintin, *foreign(saes["aquiles"]), *ids, "--show-keys")
    )["keys"]
    assert {key["key_ID"]: key["key"] for key in fetched} == {key["key_ID"]: key["key"] for key in got}
    assert [len(base64.b64decode(key["key"])) * 8 for key in got] == [256, 256]
    assert lab.run("keys", "fetch", "--at", "aquiles", "--from", "quintin", *ids, code=4) == ""
    hidden = lab.run("keys", "get", *foreign(saes["quintin"]), "--to", saes["aquiles"].name, "--json")
    assert [set(key) for key in json.loads(hidden)["keys"]] == [{"key_ID", "size_bits"}]
    wrong_ca = [*foreign(saes["quintin"])[:-1], saes["quintin"].certificate]
    assert lab.run("keys", "status", *wrong_ca, "--to", saes["aquiles"].name, code=4) == ""


def test_up_can_wait_until_declared_sessions_have_keys_and_says_why_it_did_not(lab: Lab) -> None:
    lab.run("up", str(lab.file), "--detach", "--wait-for-keys", str(PATIENCE_S))
    for end, peer in (("quintin", "aquiles"), ("aquiles", "quintin")):
        lab.run("keys", "get", "--from", end, "--to", peer)
    lab.run("down")
    shutil.rmtree(lab.paths.root)
    words = ["up", str(lab.file), "--initial-key-bits", "0", "--wait-for-keys=1"]
    for options in ([], ["--detach"]):
        run = subprocess.run(
            [*QSTRATA, *words, *options], env=lab.environ, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert (run.returncode, run.stdout) == (3, "")
        assert "error[QS-306]: no keys within 1 s for urn:qkd:madqci:quintin:sae and" in run.stderr
    # In the background it goes on: keys may come later.
    lab.run("down")


def test_events_tell_a_fault_what_it_did_and_the_end(lab: Lab, saes: dict[str, SaeView]) -> None:
    reader = subprocess.Popen(
        [*QSTRATA, "events"], env=lab.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert reader.stdout is not None

    def until(kind: type, **wanted: object) -> object:
        assert reader.stdout is not None
        for line in reader.stdout:
            event = msgspec.json.decode(line, type=AnyEvent)
            if isinstance(event, kind) and all(
                getattr(event, name) == value for name, value in wanted.items()
            ):
                return event
        return pytest.fail(f"no {kind.__name__} with {wanted} was told")

    first = until(Snapshot)
    assert isinstance(first, Snapshot)
    assert first.network.name == "madrid"
    until(Levels)
    lab.run("inject", "cut", "quintin-quijote")
    until(FaultChanged, injected=True, target="fibre/quintin-quijote")
    until(LinkChanged, link="quintin-quijote", state="passive")
    lab.run("heal", "cut", "quintin-quijote")
    until(FaultChanged, injected=False, target="fibre/quintin-quijote")
    until(LinkChanged, link="quintin-quijote", state="active")
    until(Levels)
    lab.run("down")
    until(Ended)
    assert reader.communicate(timeout=PATIENCE_S) == (b"", b"")
    assert reader.returncode == 0


def test_a_network_that_goes_down_leaves_no_process_port_or_lock(lab: Lab, saes: dict[str, SaeView]) -> None:
    def verdicts(code: int = 0) -> dict[str, str]:
        checks = msgspec.json.decode(lab.run("doctor", str(lab.file), "--json", code=code), type=list[Check])
        return {check.name: check.verdict for check in checks}

    assert "already runs the network" in lab_says(lab, "up", str(lab.file))
    assert "already runs the network" in lab_says(lab, "up", str(lab.file), "--detach")
    up = verdicts()
    assert (up["ports"], up["process"], up["certificates"]) == ("ok", "ok", "ok")
    assert lab.run("_complete", "inspect", "") == "madrid\n"
    assert "quintin-quijote\n" in lab.run("_complete", "inject", "cut", "qui")
    assert saes["aquiles"].name in lab.run("_complete", "keys", "get", "--to", "urn:qkd:madqci:a")
    lab.run("pki", "renew")
    wait_for_keys(lab, 1)
    lab.run("down")
    assert lab.nothing_is_left(ports_of(tuple(saes.values())))
    hold(lab.paths).release()
    down = verdicts()
    assert (down["leftovers"], down["process"], down["store"]) == ("ok", "skip", "ok")


def lab_says(lab: Lab, *words: str) -> str:
    run = subprocess.run(
        [*QSTRATA, *words], env=lab.environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert run.returncode == 3
    assert run.stderr.startswith("qstrata: error[QS-303]: ")
    return run.stderr


def test_certificates_of_ones_own_ca_serve(lab: Lab, tmp_path: Path) -> None:
    lab.run("up", str(lab.file), "--detach")
    lab.run("down")
    own = tmp_path / "own"
    lab.paths.pki.rename(own)
    (own / "ca.key").unlink()
    words = ["up", str(lab.file), "--detach", "--json", "--cert-dir", str(own), "--ca", str(own / "ca.pem")]
    saes = msgspec.json.decode(lab.run(*words), type=tuple[SaeView, ...])
    assert {Path(sae.ca) for sae in saes} == {own / "ca.pem"}
    wait_for_keys(lab, 1)
    assert not any(lab.paths.pki.glob("**/*.pem"))
    lab.run("down")
    (own / "kme" / "quijote.key").unlink()
    lab.run(*words, code=1)


def test_a_host_name_stands_in_urls_and_is_certified(lab: Lab) -> None:
    words = ["up", str(lab.file), "--detach", "--json", "--listen", "0.0.0.0", "--host-name", "localhost"]
    saes = msgspec.json.decode(lab.run(*words), type=tuple[SaeView, ...])
    assert all(sae.url.startswith("https://localhost:") for sae in saes)
    wait_for_keys(lab, 1)
    lab.run("down")
