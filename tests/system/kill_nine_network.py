"""The process that is killed: a network on a state folder, until it is told to end."""

import sys
from pathlib import Path

from qstrata.network.loader import load
from qstrata.network.state import state_paths
from qstrata.network.supervisor import RunningNetwork, serve

INITIAL_KEY_BITS = 4_000_000


def main(root: Path) -> None:
    """Serve Madrid at any free ports, and say so."""

    def ready(network: RunningNetwork) -> None:
        print("up", flush=True)

    description = load("madrid").with_overrides(ports="ephemeral", initial_key_bits=INITIAL_KEY_BITS)
    serve(description, state_paths("madrid", root), log_events=True, ready=ready)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
