"""Requests drawn from the OpenAPI description, against a real network: no fault of ours, nothing lost."""

import base64
import binascii
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import qstrata
from qstrata.network.face import Network
from qstrata.network.remote import SaeView
from qstrata.store.records import KeyRecord, KeyState

TOOL = Path(sys.executable).with_name("schemathesis")
# 503 says in the standard that keys are missing, and is checked against the text of that refusal.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""
# A name or an id that nobody has fits its schema, and is refused: valid data need not be accepted.
NOT_JUDGED = "positive_data_acceptance,ignored_auth"
SETTLE_S = 30.0


def described(net: Network, sae: SaeView, folder: Path) -> Path:
    """Write the description, with the names of this network's SAEs where a name is asked for."""
    document = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "openapi.json").read_text())
    peers = [other.name for other in net.inspect().saes if other.name != sae.name]
    for item in document["paths"].values():
        for parameter in item.get("parameters", ()):
            parameter["schema"] = {"anyOf": [{"enum": peers}, {"type": "string", "minLength": 1}]}
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    return path


def fuzz(net: Network, folder: Path, seed: int, *options: str) -> list[Any]:
    """Let the tool ask one KME as one SAE; return every exchange."""
    sae = next(sae for sae in net.inspect().saes if sae.node == "quintin")
    (folder / "schemathesis.toml").write_text(CONFIG)
    report = folder / "report.har"
    command = [str(TOOL), "run", str(described(net, sae, folder)), "--url", sae.url, "--tls-verify", sae.ca]
    command += ["--request-cert", sae.certificate, "--request-cert-key", sae.key, "--seed", str(seed)]
    command += ["--exclude-checks", NOT_JUDGED, "--continue-on-failure", "--no-shrink", "--warnings", "off"]
    command += ["--output-sanitize", "false", "--report-har-path", str(report), "--report-preserve-bytes"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return list(json.loads(report.read_text())["log"]["entries"])


def text_of(answer: Any) -> str:
    content = answer["content"]
    text = str(content.get("text", ""))
    if content.get("encoding") == "base64":
        return base64.b64decode(text).decode()
    return text


def handed_out(net: Network, node: str) -> int:
    return sum(isinstance(row, KeyRecord) and row.state is KeyState.DELIVERED for row in net.ledger(node))


def judge(net: Network, exchanges: list[Any]) -> None:
    """Check that every key that left the ledger is in an answer, and that 503 is for missing keys alone."""
    given: list[str] = []
    for exchange in exchanges:
        answer, url = exchange["response"], exchange["request"]["url"]
        if answer["status"] == 200 and "/enc_keys" in url:
            keys = json.loads(text_of(answer))["keys"]
            given += [key["key_ID"] for key in keys]
            assert all(binascii.a2b_base64(key["key"], strict_mode=True) for key in keys)
        elif answer["status"] == 503:
            message = json.loads(text_of(answer))["message"]
            assert any(
                word in message
                for word in ("keys are stored now", "is being opened", "credit", "not relayed")
            )
    assert len(set(given)) == len(given) > 0
    by = time.monotonic() + SETTLE_S
    while handed_out(net, "quintin") != len(given) and time.monotonic() < by:
        time.sleep(0.2)
    assert handed_out(net, "quintin") == len(given)


@pytest.mark.slow
def test_drawn_requests_meet_no_fault_and_no_drift_and_refused_ones_consume_nothing(tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed: it is in the dev extra")
    with qstrata.network("madrid", initial_key_bits=32_000_000) as net:
        net.wait_for_keys("quintin", "aquiles", 8)
        options = ("--phases", "coverage,fuzzing", "--max-examples", "25", "--max-time", "15")
        judge(net, fuzz(net, tmp_path, 1, *options))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_drawn_requests_meet_no_fault_and_no_drift(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed: it is in the dev extra")
    with qstrata.network("madrid", initial_key_bits=32_000_000) as net:
        net.wait_for_keys("quintin", "aquiles", 8)
        judge(net, fuzz(net, tmp_path, seed, "--max-examples", "5000", "--max-time", "300"))
