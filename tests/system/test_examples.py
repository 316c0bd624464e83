"""The programs of examples/ do what they say, as processes of two applications with keys of a network."""

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qstrata
from qstrata.network.face import Network

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with qstrata.network("madrid") as net:
        net.wait_for_keys("quintin", "aquiles", 8)
        yield net


def command(net: Network, program: str, node: str, peer: str, *words: str) -> list[str]:
    files = net.pki.of(net.sae_name(node))
    given = {
        "--url": net.url(node),
        "--cert": files.certificate,
        "--key": files.key,
        "--ca": net.pki.ca.certificate,
        "--peer": net.sae_name(peer),
    }
    options = [f"{name}={value}" for name, value in given.items()]
    return [sys.executable, str(EXAMPLES / program), *options, *words]


def run(words: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def started(words: list[str]) -> tuple[subprocess.Popen[str], str]:
    """Start the end that listens; return it and its port."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.fullmatch(r"listening at (\d+)\n", process.stdout.readline())
    assert found is not None
    return process, found[1]


@pytest.mark.parametrize("mode", ["aead", "otp"])
def test_a_file_is_sealed_at_one_end_and_opened_once_at_the_other(
    net: Network, tmp_path: Path, mode: str
) -> None:
    plain, sealed, got = tmp_path / "plain", tmp_path / "sealed", tmp_path / "got"
    plain.write_bytes(secrets.token_bytes(500))
    away = command(net, "send_file.py", "quintin", "aquiles", "seal", str(plain), str(sealed), "--mode", mode)
    assert run(away).stderr == ""
    assert plain.read_bytes()[:8] not in sealed.read_bytes()
    opening = command(net, "send_file.py", "aquiles", "quintin", "open", str(sealed), str(got))
    assert run(opening).stderr == ""
    assert got.read_bytes() == plain.read_bytes()
    assert run(opening).stderr == "400: one or more keys specified are not found on KME\n"


@pytest.mark.parametrize("mode", ["aead", "otp"])
def test_a_file_that_was_changed_on_its_way_is_not_opened(net: Network, tmp_path: Path, mode: str) -> None:
    plain, sealed, got = tmp_path / "plain", tmp_path / "sealed", tmp_path / "got"
    plain.write_bytes(b"pay 100")
    away = command(net, "send_file.py", "quintin", "aquiles", "seal", str(plain), str(sealed), "--mode", mode)
    assert run(away).returncode == 0
    body = bytearray(sealed.read_bytes())
    body[body.index(b"\n") + 5] ^= 1
    sealed.write_bytes(body)
    opening = run(command(net, "send_file.py", "aquiles", "quintin", "open", str(sealed), str(got)))
    assert (opening.returncode, opening.stderr) == (
        1,
        "this is no sealed file, or it was changed on its way: nothing is opened\n",
    )
    assert not got.exists()


def test_a_file_whose_head_was_changed_is_not_opened(net: Network, tmp_path: Path) -> None:
    plain, sealed, got = tmp_path / "plain", tmp_path / "sealed", tmp_path / "got"
    plain.write_bytes(b"pay 100")
    words = ("seal", str(plain), str(sealed), "--mode", "otp")
    assert run(command(net, "send_file.py", "quintin", "aquiles", *words)).returncode == 0
    opening = command(net, "send_file.py", "aquiles", "quintin", "open", str(sealed), str(got))
    for changed in (b"pay 100\n", sealed.read_bytes().replace(b'"otp"', b'"aead"')):
        sealed.write_bytes(changed)
        opened = run(opening)
        assert opened.returncode == 1
        assert opened.stderr.startswith("this is no sealed file, or it was changed on its way")
        assert not got.exists()


def test_two_ends_talk_over_session_keys_that_they_derive(net: Network) -> None:
    server, port = started(command(net, "session_key.py", "aquiles", "quintin", "--listen", "0"))
    client = run(
        command(net, "session_key.py", "quintin", "aquiles", "--connect", port), "hello\nquantum world\n"
    )
    assert (client.stdout, client.stderr) == ("olleh\ndlrow mutnauq\n", "")
    assert server.communicate(timeout=PATIENCE_S) == ("", "")
    assert server.returncode == 0


def test_ends_with_different_keys_do_not_talk(net: Network) -> None:
    net.inject("kme-wrong-key", "kme/quintin")
    try:
        server, port = started(command(net, "session_key.py", "aquiles", "quintin", "--listen", "0"))
        client = run(command(net, "session_key.py", "quintin", "aquiles", "--connect", port), "hello\n")
    finally:
        net.heal("kme-wrong-key", "kme/quintin")
    _, said = server.communicate(timeout=PATIENCE_S)
    assert (server.returncode, client.returncode) == (1, 1)
    assert "or the keys differ" in said


def test_both_ends_prove_who_they_are(net: Network) -> None:
    me, peer = net.sae_name("quintin"), net.sae_name("aquiles")
    words = ("--me", peer, "--listen", "0")
    server, port = started(command(net, "prove_identity.py", "aquiles", "quintin", *words))
    client = run(command(net, "prove_identity.py", "quintin", "aquiles", "--me", me, "--connect", port))
    assert (client.stdout, client.stderr) == (f"the peer is {peer}\n", "")
    assert server.communicate(timeout=PATIENCE_S) == (f"the peer is {me}\n", "")


def test_an_end_without_the_key_proves_nothing(net: Network) -> None:
    me, peer = net.sae_name("quintin"), net.sae_name("aquiles")
    net.inject("kme-wrong-key", "kme/quintin")
    try:
        words = ("--me", peer, "--listen", "0")
        server, port = started(command(net, "prove_identity.py", "aquiles", "quintin", *words))
        client = run(command(net, "prove_identity.py", "quintin", "aquiles", "--me", me, "--connect", port))
    finally:
        net.heal("kme-wrong-key", "kme/quintin")
    assert client.stderr == f"the peer is not {peer}\n"
    assert server.communicate(timeout=PATIENCE_S) == ("", f"the peer is not {me}\n")


def test_somebody_else_cannot_take_part(net: Network) -> None:
    server, port = started(command(net, "session_key.py", "aquiles", "quintin", "--listen", "0"))
    # Quevedo may fetch keys with Aquiles, and not those that Aquiles fetches as the peer of Quintin.
    client = run(command(net, "session_key.py", "quevedo", "aquiles", "--connect", port), "hello\n")
    _, said = server.communicate(timeout=PATIENCE_S)
    assert (server.returncode, client.returncode) == (1, 1)
    assert re.search(r"(400|401|503): ", said + client.stderr)
