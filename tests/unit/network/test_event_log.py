"""The event log of a real network goes on over restarts, and is ahead of every answer."""

from pathlib import Path

import pytest

from qstrata.core.errors import EnvironmentFaultError
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.log import NodeEvent
from qstrata.interfaces.etsi014.handler import Etsi014Handler
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.interfaces.etsi014.types import Limits
from qstrata.network.event_log import LoggedHandler, log_start, open_log
from qstrata.store.records import BlockBits, SessionMark

PEER = "/api/v1/keys/urn:qkd:d:b/status"


def test_line_that_a_kill_cut_off_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(b'[1,1,"node","a","start"]\n[2,2,"no')
    recorder = open_log(path)
    recorder.note(NodeEvent("a", "start"), 5)
    recorder.close()
    assert path.read_bytes() == b'[1,1,"node","a","start"]\n[5,1,"node","a","start"]\n'


@pytest.mark.parametrize("before", [b"", b"[1,", b"[1,1]\n"])
def test_whole_lines_stay(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(before)
    open_log(path).close()
    assert path.read_bytes() == (before if before.endswith(b"\n") else b"")


def test_log_that_cannot_be_written_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFaultError, match="cannot be written"):
        open_log(tmp_path / "missing" / "events.log")


def test_start_tells_of_every_durable_row_and_of_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    recorder = open_log(path)
    bits = BlockBits(link="a-b", number=1, bits=KeyMaterial(b"\xaa" * 8))
    log_start(recorder, {"a": [SessionMark(session="s"), bits], "b": []}, 7)
    assert path.read_text().splitlines() == [
        '[7,1,"node","a","start"]',
        '[7,2,"durable","a","put","mark","s",["s",0,-1]]',
        '[7,3,"durable","a","put","block-bits","a-b/1",["a-b",1,64]]',
        '[7,4,"node","b","start"]',
    ]
    recorder.close()


def test_log_is_written_out_before_an_answer_leaves() -> None:
    order: list[object] = []
    handler = LoggedHandler(Etsi014Handler(Limits()), lambda: order.append("flushed"))
    wanted = handler.read(HttpRequest("GET", PEER))

    def respond(answer: HttpAnswer, at_ps: int) -> None:
        order.append(answer.status)

    handler.serve(wanted, "urn:qkd:d:a", respond, 0)
    assert order == ["flushed", 503]
