"""A chain of repeaters in real time: brought up by a command, told of by `inspect`."""

import json
import time
from typing import Any

import pytest

from tests.system.test_cli import PATIENCE_S, Lab, lab

__all__ = ["lab"]

pytestmark = pytest.mark.slow

CHAIN = """
name: madrid
domain: chain
defaults: {link: {channels: default}}
nodes:
  - {name: a, site: [0, 0], memories: {cells: 2}}
  - {name: b, site: [1, 0], memories: {cells: 2}}
  - {name: c, site: [2, 0], memories: {cells: 2}}
links:
  - {ends: [a, b], length-km: 10, loss-db: 2, protocol: barrett-kok}
  - {ends: [b, c], length-km: 10, loss-db: 2, protocol: barrett-kok}
saes: []
circuits:
  - {name: a-to-c, path: [a, b, c], pairs-per-s: 50, test-share: 1.0}
"""


def inspected(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.run("inspect", "madrid", "--json"))
    return found


def test_a_circuit_makes_pairs_in_real_time_and_inspect_tells_of_them(lab: Lab) -> None:
    lab.file.write_text(CHAIN, encoding="utf-8")
    lab.run("up", str(lab.file), "--detach")
    for _ in range(PATIENCE_S):
        view = inspected(lab)
        (circuit,) = view["circuits"]
        if circuit["delivered"] >= 100 and circuit["fidelity"] is not None:
            break
        time.sleep(1)
    assert circuit["state"] == "open"
    assert circuit["delivered"] >= 100
    assert circuit["pairs_per_s"] <= 55
    assert 0.8 < circuit["fidelity"] <= 1.0
    assert {link["state"] for link in view["pair_links"]} == {"active"}
    assert all(link["heralds"] >= 100 for link in view["pair_links"])
    assert [row["given"] for row in view["memories"]] == [1, 2, 1]
    assert "fidelity, by tests" in lab.run("inspect", "madrid")
    assert "a-to-c" in lab.run("describe", "madrid")
    lab.run("down", "madrid")
    assert lab.nothing_is_left()
