"""The recorder: one JSON array a line, a hash over all of them, and nothing secret."""

import hashlib

import msgspec
import pytest

from qstrata.core.effects import Drop, Put
from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.log import KeyHeld, NodeEvent
from qstrata.fabric.recorder import Recorder
from qstrata.store.records import BlockBits, KeyRecord, KeyState

SECRET = bytes(range(32))


def test_a_line_is_time_sequence_tag_and_fields():
    lines = []
    recorder = Recorder(lines)
    recorder.note(NodeEvent("a", "crashed"), 12)
    recorder.note(KeyHeld("a", "k1", "s1", 1, 256, 99, "abcd"), 13)
    recorder.flush()
    assert lines == [b'[12,1,"node","a","crashed"]', b'[13,2,"key","a","k1","s1",1,256,99,"abcd"]']


def test_names_are_escaped_as_json_asks():
    lines = []
    recorder = Recorder(lines)
    prefix = recorder.prefix("F1", 'a "quoted" end', "b\\c", "KmeHello")
    recorder.carried(1, prefix, 2, "sent", ("ü", 3))
    recorder.flush()
    expected = [1, 1, "msg", "F1", 'a "quoted" end', "b\\c", "KmeHello", 2, "sent", ["ü", 3]]
    assert [msgspec.json.decode(line) for line in lines] == [expected]


def test_a_durable_row_is_logged_by_its_own_fields_without_its_bits():
    lines = []
    recorder = Recorder(lines)
    key = KeyRecord(
        key_id="k1",
        session="s1",
        sequence=4,
        own=True,
        size_bits=256,
        valid_until_ps=7,
        state=KeyState.POOLED,
        bits=KeyMaterial(SECRET),
    )
    block = BlockBits(link="a-b", number=3, bits=KeyMaterial(SECRET))
    recorder.durable("a", (Put(key), Put(block), Drop("key", "k0")), 5)
    recorder.flush()
    assert [msgspec.json.decode(line)[2:] for line in lines] == [
        ["durable", "a", "put", "key", "k1", ["k1", "s1", 4, 1, 256, 7, "pooled"]],
        ["durable", "a", "put", "block-bits", "a-b/3", ["a-b", 3, 256]],
        ["durable", "a", "drop", "key", "k0", []],
    ]


def test_the_hash_is_that_of_all_lines_each_with_its_line_end():
    lines = []
    recorder = Recorder(lines)
    for number in range(2000):
        recorder.note(NodeEvent("a", str(number)), number)
    assert recorder.sha256() == hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    assert len(lines) == recorder.entries == 2000


def test_the_hash_does_not_depend_on_the_sink_or_on_when_it_was_flushed(tmp_path):
    recorders = [Recorder(), Recorder([]), Recorder(tmp_path / "log")]
    for number in range(700):
        for recorder in recorders:
            recorder.note(NodeEvent("a", "started"), number)
            if number % 97 == 0:
                recorders[1].flush()
    assert len({recorder.sha256() for recorder in recorders}) == 1
    recorders[2].close()
    assert hashlib.sha256((tmp_path / "log").read_bytes()).hexdigest() == recorders[0].sha256()


def test_a_file_has_every_line_after_a_flush_and_goes_on_after_a_restart(tmp_path):
    path = tmp_path / "log"
    first = Recorder(path)
    first.note(NodeEvent("a", "started"), 1)
    first.flush()
    assert path.read_bytes() == b'[1,1,"node","a","started"]\n'
    first.close()
    second = Recorder(str(path))
    second.note(NodeEvent("a", "started"), 2)
    second.close()
    assert len(path.read_bytes().splitlines()) == 2


def test_key_material_cannot_be_logged():
    recorder = Recorder()
    recorder.carried(0, recorder.prefix("F1", "a", "b", "T"), 0, "sent", (KeyMaterial(SECRET),))
    with pytest.raises(TypeError, match="KeyMaterial"):
        recorder.flush()


def test_a_recorder_without_a_hash_says_so():
    recorder = Recorder([], keep_hash=False)
    recorder.note(NodeEvent("a", "started"), 1)
    with pytest.raises(InternalError, match="keep_hash=True"):
        recorder.sha256()
