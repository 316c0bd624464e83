"""Which engines a network file may name, and where others come from."""

from importlib.metadata import EntryPoint

import pytest

from qstrata.core.errors import InputError
from qstrata.network import engine_names, plugins
from qstrata.network.document import DescriptionError
from qstrata.network.engines import find_engine
from qstrata.twin.native import native_engine
from tests.simulation.engine_networks import network, stub


def made_elsewhere(argument):
    return lambda task: (argument, task)


@pytest.fixture
def lab(monkeypatch):
    point = EntryPoint("lab", f"{__name__}:made_elsewhere", engine_names.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: made_elsewhere)

    def points(**wanted):
        is_wanted = wanted["group"] == point.group and wanted.get("name", "lab") == "lab"
        return [point] if is_wanted else []

    monkeypatch.setattr("importlib.metadata.entry_points", points)
    forget()
    yield
    forget()


def forget():
    plugins.plugin_names.cache_clear()
    plugins.find_plugin.cache_clear()


def problem(folder, engine, **changes):
    with pytest.raises(DescriptionError) as refused:
        network(folder, engine, **changes)
    return str(refused.value)


def test_a_file_without_a_word_of_it_runs_on_the_native_engine(tmp_path):
    assert [link.engine for link in network(tmp_path, "native").links] == ["native", "native"]
    assert find_engine("native") is native_engine


def test_a_script_is_named_from_its_network_file(tmp_path):
    path = stub(tmp_path)
    assert {link.engine for link in network(tmp_path, "script:./protocol.py").links} == {f"script:{path}"}


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("scrpt:x.py", "11:13: there is no engine `scrpt`; did you mean `script`?"),
        ("script", "11:13: a script needs its path"),
        ("script:missing.py", "11:13: there is no script 'missing.py': give its path from this file"),
        ("trace", "11:13: a trace needs its path"),
        ("trace:missing.jsonl", "11:13: there is no trace 'missing.jsonl': give its path from this file"),
        ("native:2", "11:13: the engine native takes no '2'"),
        (
            "netsquid",
            "11:13: there is no engine `netsquid`; there are `native`, `script`, `sequence`, `trace`",
        ),
        ("2fast", "11:13: "),
    ],
)
def test_an_engine_that_is_not_there_is_refused_at_its_place(tmp_path, engine, told):
    assert told in problem(tmp_path, engine)


def test_a_link_too_fast_for_sequence_is_refused_at_its_place(tmp_path):
    told = problem(tmp_path, "sequence", rate=("40000", "2000000.0"))
    assert ":28:5: SeQUeNCe runs at most 1e+06 pulses a second, the link has 2e+06" in told


def test_engines_of_other_packages_are_found_by_their_entry_points(lab, tmp_path):
    assert {link.engine for link in network(tmp_path, "lab:rack 3").links} == {"lab:rack 3"}
    assert find_engine("lab:rack 3")("task") == ("rack 3", "task")
    with pytest.raises(InputError, match="there is no engine 'rack': native, script, sequence, trace, lab"):
        find_engine("rack")
