"""`apply` on a network in real time: the plan, what it does, what goes on meanwhile, and what is refused."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator

import msgspec
import pytest

import qstrata
from qstrata.core.errors import InputError
from qstrata.network.description import Description, checked
from qstrata.network.face import Network
from qstrata.network.loader import load
from qstrata.network.remote import AppliedView, NetworkView
from tests.system.test_cli import PATIENCE_S, QSTRATA, Lab, lab

__all__ = ["lab"]

pytestmark = pytest.mark.slow

NEW_SAE = "urn:qkd:madqci:quijote:backup"


def with_sae(text: str) -> str:
    """Return a file with another SAE at quijote, and a longer link."""
    added = text.replace("\nsaes:\n", f'\nsaes:\n  - {{name: "{NEW_SAE}", node: quijote}}\n')
    changed = re.sub(r"length-km: [\d.]+", "length-km: 17.5", added, count=1)
    assert added != text
    assert changed != added
    return changed


def said(lab: Lab, *words: str, code: int = 0) -> str:
    """Run a command and return what it says on stderr."""
    run = subprocess.run(
        [*QSTRATA, *words],
        env=lab.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == code, run.stderr
    return run.stderr


def wait_for_a_key(lab: Lab, sae: str) -> None:
    """Wait until an SAE can get a key to share with aquiles."""
    words = ["keys", "status", "--from", sae, "--to", "aquiles", "--json"]
    for _ in range(PATIENCE_S):
        run = subprocess.run([*QSTRATA, *words], env=lab.environ, capture_output=True, timeout=PATIENCE_S)
        if run.returncode == 0 and json.loads(run.stdout)["stored_key_count"]:
            return
    pytest.fail(f"no key came for {sae}")


def test_a_network_is_changed_by_the_plan_that_was_shown_and_a_second_one_is_empty(lab: Lab) -> None:
    lab.run("up", str(lab.file), "--detach", "--initial-key-bits", "200000")
    wait_for_a_key(lab, "quintin")
    before = msgspec.json.decode(lab.run("inspect", "--json"), type=NetworkView)
    changed = lab.file.with_name("changed.yaml")
    changed.write_text(with_sae(lab.file.read_text(encoding="utf-8")), encoding="utf-8")

    plan = msgspec.json.decode(lab.run("apply", str(changed), "--dry-run", "--json"), type=AppliedView)
    assert [(step.action, step.kind) for step in plan.steps] == [("change", "link"), ("add", "sae")]
    assert plan.dry_run
    unchanged = msgspec.json.decode(lab.run("inspect", "--json"), type=NetworkView)
    assert [sae.name for sae in unchanged.saes] == [sae.name for sae in before.saes]

    shown = lab.run("apply", str(changed))
    assert NEW_SAE in shown
    assert "length-km: " in shown
    assert lab.run("apply", str(changed)) == "nothing to do: the network runs as the file says\n"

    after = msgspec.json.decode(lab.run("inspect", "--json"), type=NetworkView)
    assert [node.url for node in after.nodes] == [node.url for node in before.nodes]
    assert {s.unit.session for s in before.sessions} <= {s.unit.session for s in after.sessions}
    assert NEW_SAE in {sae.name for sae in after.saes}
    wait_for_a_key(lab, NEW_SAE)
    got = json.loads(lab.run("keys", "get", "--from", NEW_SAE, "--to", "aquiles", "--show-keys"))["keys"]
    fetched = json.loads(
        lab.run("keys", "fetch", "--at", "aquiles", "--from", NEW_SAE, got[0]["key_ID"], "--show-keys")
    )["keys"]
    assert fetched[0]["key"] == got[0]["key"]

    kept = load(lab.paths.in_force)
    assert {sae.name for sae in kept.saes} == {sae.name for sae in after.saes}
    lab.run("down")
    assert "differs from what network madrid last ran as" in said(lab, "up", str(lab.file), "--detach")
    back = msgspec.json.decode(lab.run("inspect", "--json"), type=NetworkView)
    assert NEW_SAE not in {sae.name for sae in back.saes}


def test_a_wrong_file_is_told_with_its_places_and_changes_nothing(lab: Lab) -> None:
    lab.run("up", str(lab.file), "--detach")
    lines = lab.file.read_text(encoding="utf-8").splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "length-km" in line)
    wrong = lab.file.with_name("wrong.yaml")
    wrong.write_text(
        "\n".join(re.sub(r"length-km: [\d.]+", "length-km: -3", line) for line in lines), encoding="utf-8"
    )
    for words in (("apply", str(wrong)), ("apply", str(wrong), "--state-dir", str(lab.paths.root))):
        text = said(lab, *words, code=1)
        assert f"{wrong}:{number}:" in text
        assert "QS-102" in text
    renamed = lab.file.with_name("seeded.yaml")
    renamed.write_text(lab.file.read_text(encoding="utf-8") + "\nseed: 11\n", encoding="utf-8")
    assert "the seed of a network that runs cannot change" in said(lab, "apply", str(renamed), code=1)
    assert "not up" in said(lab, "apply", "ring", code=3)
    assert lab.run("apply", str(lab.file)).startswith("nothing to do")


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with qstrata.network("ring", initial_key_bits=200_000) as net:
        net.wait_for_keys("r1", "r2", 4)
        yield net


def without(description: Description, node: str) -> Description:
    """Return a network without a node, and without what stands there."""
    gone = {sae.name for sae in description.saes if sae.node == node}
    return msgspec.structs.replace(
        description,
        nodes=tuple(each for each in description.nodes if each.name != node),
        links=tuple(link for link in description.links if node not in link.ends),
        saes=tuple(sae for sae in description.saes if sae.name not in gone),
        sessions=tuple(each for each in description.sessions if not gone & set(each.between)),
        demands=tuple(each for each in description.demands if not gone & set(each.between)),
    )


def renamed(description: Description, old: str, new: str) -> Description:
    """Return a network in which a node, its links and its SAEs have another name."""
    data = msgspec.json.encode(description).decode()
    return checked(msgspec.json.decode(re.sub(rf"\b{old}\b", new, data)))


def test_a_node_is_replaced_while_others_keep_their_connections_and_keys(net: Network) -> None:
    whole = net.description
    a, url, gone_url = net.sae("r1"), net.url("r1"), net.url("r4")
    assert a.get_keys("r2")
    assert {step.object for step in net.apply(without(whole, "r4")) if step.kind == "node"} == {"r4"}
    assert a is net.sae("r1")
    assert url == net.url("r1")
    net.wait_for_keys("r1", "r2", 1)
    assert a.get_keys("r2")
    with pytest.raises(InputError, match="r4"):
        net.url("r4")
    assert {node.name for node in net.inspect().nodes} == {"r1", "r2", "r3", "r5", "r6"}
    host, port = gone_url.removeprefix("https://").split(":")
    assert not _answers(host, int(port))
    net.apply(renamed(whole, "r4", "r7"))
    assert net.apply(renamed(whole, "r4", "r7")) == ()
    net.wait_for_keys("r7", "r2", 1)
    keys = net.sae("r7").get_keys("r2")
    (fetched,) = net.sae("r2").get_keys_by_id("r7", [keys[0].key_id])
    assert fetched.bits == keys[0].bits


def test_what_no_running_network_can_change_is_refused_in_python_too(net: Network) -> None:
    with pytest.raises(InputError, match="qstrata down ring"):
        net.apply(msgspec.structs.replace(net.description, domain="elsewhere"))
    assert net.apply(net.description, dry_run=True) == ()


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def free_ports(number: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def test_kmes_change_names_and_ports_among_each_other(lab: Lab) -> None:
    nodes = ("quintin", "quijote", "quevedo", "aquiles")
    ports = free_ports(len(nodes))
    numbers = iter(ports)
    text = re.sub("port: 0", lambda _: f"port: {next(numbers)}", lab.file.read_text(encoding="utf-8"))
    lab.file.write_text(text, encoding="utf-8")
    lab.run("up", str(lab.file), "--detach", "--wait-for-keys", "--initial-key-bits", "200000")

    swapped = text.replace(str(ports[0]), "FIRST").replace(str(ports[3]), str(ports[0]))
    swapped = swapped.replace("FIRST", str(ports[3])).replace("quevedo", "quixote")
    lab.file.write_text(swapped, encoding="utf-8")
    lab.run("apply", str(lab.file))
    assert lab.run("apply", str(lab.file)).startswith("nothing to do")

    seen = msgspec.json.decode(lab.run("inspect", "--json"), type=NetworkView)
    assert {node.name: int(node.url.rpartition(":")[2]) for node in seen.nodes} == {
        "quintin": ports[3],
        "quijote": ports[1],
        "quixote": ports[2],
        "aquiles": ports[0],
    }
    for sae in ("quintin", "quixote"):
        wait_for_a_key(lab, sae)
        status = json.loads(lab.run("keys", "status", "--from", sae, "--to", "aquiles", "--json"))
        assert status["source_KME_ID"].endswith(sae)


def test_a_link_whose_engine_does_not_run_here_is_refused_and_changes_nothing(lab: Lab) -> None:
    lab.environ["QSTRATA_ENGINES"] = str(lab.file.with_name("none"))
    lab.run("up", str(lab.file), "--detach")
    slow = "engine: sequence\n    parameters: {pulse-rate-hz: 1.0e+6}\n    length-km:"
    other = lab.file.with_name("other.yaml")
    other.write_text(lab.file.read_text(encoding="utf-8").replace("length-km:", slow, 1), encoding="utf-8")
    assert "QS-301" in said(lab, "up", str(other), "--state-dir", str(lab.file.with_name("x")), code=3)
    assert "SeQUeNCe does not run" in said(lab, "apply", str(other), code=3)
    assert lab.run("apply", str(lab.file)).startswith("nothing to do")
