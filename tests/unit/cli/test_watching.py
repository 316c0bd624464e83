"""`events` and `inspect --watch`: lines for eyes on a terminal, JSON for programs, and quiet ends."""

import subprocess
import sys

import msgspec
import pytest

from qstrata.cli import main, watching
from qstrata.network.events import (
    AlarmChanged,
    AnyEvent,
    BearerChanged,
    Cut,
    Ended,
    Event,
    FaultChanged,
    Levels,
    LinkChanged,
    SessionChanged,
    Snapshot,
)
from qstrata.network.remote import AskEvents, Failed, NetworkView
from qstrata.network.state import state_paths
from tests.unit.cli.answers import NETWORK, scripted_network

SNAPSHOT = Snapshot(at_s=1.5, network=NETWORK)
LINK = LinkChanged(
    at_s=2.0,
    link="a-b",
    state="passive",
    media="down",
    was_state="active",
    was_media="granted",
    reason="no light",
)
SESSION = SessionChanged(
    at_s=2.5,
    session="5e55",
    unit="u",
    a="sae a",
    b="sae b",
    state="open",
    was="",
    sites=("a", "m", "b"),
    reason="",
)
ALARM = AlarmChanged(at_s=3.0, raised=True, subject="a-b", channel="fibre/a-b", finding="light lost")
FAULT = FaultChanged(at_s=3.5, injected=False, kind="loss", target="fibre/a-b", amount=2.5)
BEARER = BearerChanged(at_s=3.6, node="a", link="a-b", bearer="fibre/a-b", granted=True, up=False)
LEVELS = Levels(at_s=4.0, links=(), stores=())
ENDED = Ended(at_s=5.0, text="network lab goes down")
STORY: tuple[Event, ...] = (SNAPSHOT, LINK, SESSION, ALARM, FAULT, BEARER, LEVELS, ENDED)


def test_events_in_a_pipe_are_one_json_object_a_line(capsys):
    with scripted_network(state_paths("lab"), STORY) as asked:
        assert main(["events"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert tuple(msgspec.json.decode(line, type=AnyEvent) for line in lines) == STORY
    assert asked == [AskEvents()]


def test_events_on_a_terminal_are_told_in_words_and_levels_are_not(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with scripted_network(state_paths("lab"), STORY):
        assert main(["events", "lab"]) == 0
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "1.500 s lab: 1 nodes, 1 links, 1 sessions; 1 alarms and 2 injected faults stand",
        "2.000 s link a-b: active -> passive, media granted -> down (no light)",
        "2.500 s session 5e55 of sae a and sae b: open, path a - m - b",
        "3.000 s alarm raised: a-b, fibre/a-b: light lost",
        "3.500 s fault healed: loss fibre/a-b, 2.5 dB",
        "3.600 s bearer fibre/a-b seen from a: down",
        "5.000 s network lab goes down",
    ]


def test_json_is_for_programs_on_a_terminal_too(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with scripted_network(state_paths("lab"), STORY):
        assert main(["events", "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out.splitlines()[1], type=AnyEvent) == LINK


def test_a_reader_that_was_cut_is_told_so_and_fails(capsys):
    cut = Cut(at_s=2.0, text="it was too slow, and is cut")
    with scripted_network(state_paths("lab"), (SNAPSHOT, cut)):
        assert main(["events"]) == 3
    said = capsys.readouterr()
    assert msgspec.json.decode(said.out.splitlines()[-1], type=AnyEvent) == cut
    assert said.err == "qstrata: error[QS-301]: it was too slow, and is cut\n"


def test_a_network_that_ends_without_a_word_is_a_fault_of_the_machine(capsys):
    with scripted_network(state_paths("lab"), (SNAPSHOT,)):
        assert main(["events"]) == 3
    assert "ended without a word" in capsys.readouterr().err


def test_a_network_that_refuses_readers_says_why(capsys):
    refusal = Failed(text="16 readers follow the events", code=3, error="QS-301")
    with scripted_network(state_paths("lab"), refusal):
        assert main(["events"]) == 3
    assert capsys.readouterr() == ("", "qstrata: error[QS-301]: 16 readers follow the events\n")


def test_a_reader_who_has_seen_enough_ends_the_events_quietly(state_home):
    with scripted_network(state_paths("lab"), (SNAPSHOT, *[LEVELS] * 5000, ENDED)):
        command = f"{sys.executable} -m qstrata.cli events | head -n 1"
        run = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
    assert msgspec.json.decode(run.stdout, type=AnyEvent) == SNAPSHOT


@pytest.mark.parametrize("words", [["events"], ["inspect", "--watch"]])
def test_a_network_that_is_not_up_is_told_with_its_cure(capsys, words):
    assert main(words) == 3
    assert "error[QS-302]: the network madrid is not up" in capsys.readouterr().err


def watched(capsys, monkeypatch, *words: str) -> str:
    """Return what two rounds print, ended by Ctrl-C."""
    rounds = iter([None, KeyboardInterrupt])

    def rest(seconds: float) -> None:
        assert seconds == watching.PERIOD_S
        if (end := next(rounds)) is not None:
            raise end

    monkeypatch.setattr(watching.time, "sleep", rest)
    with scripted_network(state_paths("lab"), NETWORK):
        assert main(["inspect", "--watch", *words]) == 130
    said = capsys.readouterr()
    assert said.err == ""
    return str(said.out)


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_watched_network_in_a_pipe_is_a_json_object_a_line(capsys, monkeypatch, words):
    lines = watched(capsys, monkeypatch, *words).splitlines()
    assert [msgspec.json.decode(line, type=NetworkView) for line in lines] == [NETWORK, NETWORK]


def test_a_watched_network_on_a_terminal_is_drawn_anew(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    first, second = watched(capsys, monkeypatch).removeprefix("\x1b[2J\x1b[H").split("\x1b[2J\x1b[H")
    assert first == second
    assert first.startswith("lab: domain labdomain")
