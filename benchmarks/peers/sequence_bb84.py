"""Decoy BB84 over one link in SeQUeNCe, by the worker of the engine `sequence`, on its processor time."""

import importlib.util
import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Simulate the trains of a request; `asked["worker"]` is the worker's file."""
    spec = importlib.util.spec_from_file_location("worker", asked["worker"])
    assert spec is not None
    assert spec.loader is not None
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    worker.run(asked | {"pulses": [100, 0, 0]})  # imports the simulator
    begun = time.process_time()
    answer = worker.run(asked)
    spent_s = time.process_time() - begun
    sent, clicks = sum(answer["sent"]), answer["detections"]
    return {"version": version("sequence"), "pulses": sent, "clicks": clicks, "spent_s": spent_s}


def main() -> None:
    """Answer one request; what the simulator prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(run(json.load(sys.stdin)), answers)


if __name__ == "__main__":
    main()
