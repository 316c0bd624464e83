"""The package's own face: light to import, and one name for a function and a room."""

import subprocess
import sys

import qstrata
from qstrata.network.description import Description


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_of_the_package_brings_no_dependency_in() -> None:
    code = "import sys; before = set(sys.modules); import qstrata; print(set(sys.modules) - before)"
    brought = python(code)
    assert not [name for name in ("numpy", "msgspec", "asyncio", "aiohttp") if name in brought]


def test_network_stays_a_function_once_the_room_of_that_name_is_imported() -> None:
    code = (
        "import qstrata, qstrata.network.description\n"
        "from qstrata.network import loader\n"
        "print(callable(qstrata.network), loader.__name__)"
    )
    assert python(code) == "True qstrata.network.loader"


def test_network_takes_a_name_or_a_description_and_overrides_its_figures() -> None:
    named = qstrata.network("madrid", initial_key_bits=0, seed=5, rate=10.0)
    assert isinstance(named.description, Description)
    assert named.description.seed == 5
    assert named.description.clock.rate == 10.0
    assert {link.initial_key_bits for link in named.description.links} == {0}
    assert {node.kme.port for node in named.description.nodes} == {0}
    assert qstrata.network(named.description).description == named.description
