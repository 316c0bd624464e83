"""Files of recorded blocks: what was counted comes back, and what is wrong is told at its place."""

import json

import pytest

from qstrata.core.errors import InputError
from qstrata.network.document import DescriptionError
from qstrata.network.loader import load_text
from qstrata.network.recording import recorded_lines
from qstrata.network.shipped import shipped_text
from qstrata.network.traces import read_trace

HEAD = {"trace": 1, "protocol": "decoy-bb84", "pulse_rate_hz": 100.0}
COUNTS = {
    "sent": [300, 500, 200],
    "n": [[40, 7, 0], [9, 1, 0]],
    "m": [[2, 1, 0], [1, 0, 0]],
    "detections": 101,
}
BLOCK = {"seconds": 10, "counts": COUNTS}
SUMS = {"symbols": 1000, "key_values": 1400, "tested_values": 600, "sent_squares": 9, "measured_squares": 9}


def read(folder, *lines):
    path = folder / "t.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return read_trace(path)


def test_blocks_come_back_as_they_were_written(tmp_path):
    description = load_text(shipped_text("madrid"), "madrid.yaml")
    lines = list(recorded_lines(description, "quintin-quijote", 3, seed=1))
    trace = read(tmp_path, *lines)
    assert (trace.protocol, trace.at_end, len(trace.blocks)) == ("decoy-bb84", "stop", 3)
    assert [block.tally.pulses for block in trace.blocks] == [6_000_000_000] * 3
    assert len({block.tally.detections for block in trace.blocks}) == 3
    assert lines == list(recorded_lines(description, "quintin-quijote", 3, seed=1))


def test_links_of_coherent_states_are_recorded_too(tmp_path):
    text = shipped_text("madrid").replace("channels: default", "channels: default\n    protocol: cv-qkd")
    lines = recorded_lines(load_text(text, "madrid.yaml"), "quijote-quevedo", 2, seed=1)
    trace = read(tmp_path, *lines)
    assert trace.protocol == "cv-qkd"
    assert [block.tally.symbols for block in trace.blocks] == [600_000_000] * 2


def test_what_devices_distilled_is_read_with_its_error_rate(tmp_path):
    key = {"sifted_bits": 200, "qber": 0.03, "secret_bits": 67}
    (block,) = read(tmp_path, HEAD, {"seconds": 10, "key": key}).blocks
    assert block.distilled_bits == 64
    assert block.tally.pulses == 1000
    assert sum(block.tally.m[0]) / sum(block.tally.n[0]) == 0.03


def block(**changes):
    return {"seconds": 10, "counts": COUNTS | changes}


WRONG = {
    "no blocks": ([HEAD], "1:1: a trace has a first line"),
    "another version": ([HEAD | {"trace": 2}, BLOCK], "1:2: Invalid enum value 2"),
    "an unknown protocol": (
        [HEAD | {"protocol": "b92"}, BLOCK],
        "1:14: no protocol of key links is called 'b92'",
    ),
    "no JSON": ([HEAD, BLOCK, '{"seconds": 10, counts'], "3:17: JSON is malformed"),
    "an unknown key": ([HEAD, BLOCK | {"second": 1}], "2:1: Object contains unknown field `second`"),
    "words for a number": ([HEAD, block(detections="many")], "2:112: Expected `int`, got `str`"),
    "no figures": ([HEAD, BLOCK, {"seconds": 10}], "3:1: a block of decoy-bb84 has `counts` or `key`"),
    "figures of another kind": (
        [HEAD, {"seconds": 10, "quadratures": SUMS}],
        "2:17: a block of decoy-bb84 has",
    ),
    "more errors than clicks": ([HEAD, block(m=[[41, 1, 0], [1, 0, 0]])], "2:17: there are more errors than"),
    "more sifted than clicks": ([HEAD, block(detections=50)], "2:17: there are more clicks in equal bases"),
    "more clicks than pulses": (
        [HEAD, block(detections=1001)],
        "2:17: there are more `detections` than pulses",
    ),
    "another pulse rate": ([HEAD, BLOCK | {"seconds": 20}], "2:2: 1000 pulses in 20 s are not those of"),
    "more key than bits": (
        [HEAD, {"seconds": 10, "key": {"sifted_bits": 64, "qber": 0, "secret_bits": 72}}],
        "secret_bits",
    ),
    "more sifted than pulses": (
        [HEAD, {"seconds": 10, "key": {"sifted_bits": 1001, "qber": 0, "secret_bits": 64}}],
        "2:25: so many sifted bits do not come of 1000 pulses",
    ),
    "no time": ([HEAD, BLOCK | {"seconds": 1e-13}], "2:2: Expected `float` >= 0.1"),
    "negative squares": (
        [
            HEAD | {"protocol": "cv-qkd"},
            {"seconds": 10, "quadratures": SUMS | {"sent_squares": -1, "measured_squares": -1}},
        ],
        "2:17: a sum of squares is negative",
    ),
    "impossible products": (
        [HEAD | {"protocol": "cv-qkd"}, {"seconds": 10, "quadratures": SUMS | {"products": 10}}],
        "2:17: products are too large",
    ),
}


@pytest.mark.parametrize(("lines", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_at_its_place(tmp_path, lines, told):
    with pytest.raises(InputError) as refused:
        read(tmp_path, *lines)
    assert f"{tmp_path / 't.jsonl'}:" in str(refused.value)
    assert told.replace("secret_bits", "no more secret bits") in str(refused.value)


def madrid(engine, more=""):
    said = f"channels: default\n    engine: {engine}{more}"
    return load_text(shipped_text("madrid").replace("channels: default", said, 1), "madrid.yaml")


def test_a_trace_that_is_wrong_is_told_when_the_network_file_is_read(tmp_path):
    with pytest.raises(InputError):
        read(tmp_path, HEAD, block(detections=50))
    with pytest.raises(DescriptionError, match=r"madrid.yaml:22:13: .*t.jsonl:2:17: there are more clicks"):
        madrid(f"trace:{tmp_path / 't.jsonl'}")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", "has 100 pulses a second, the link 1e\\+08"),
        ("\n    protocol: bbm92", "is one of decoy-bb84, not of bbm92"),
    ],
)
def test_a_trace_of_another_link_is_refused(tmp_path, more, told):
    read(tmp_path, HEAD, BLOCK)
    with pytest.raises(DescriptionError, match=told):
        madrid(f"trace:{tmp_path / 't.jsonl'}", more)


@pytest.mark.parametrize(
    ("link", "blocks", "told"), [("a-b", 1, "no link"), ("quijote-aquiles", 0, "give 1 to")]
)
def test_what_cannot_be_recorded_is_refused(link, blocks, told):
    with pytest.raises(InputError, match=told):
        list(recorded_lines(load_text(shipped_text("madrid"), "madrid.yaml"), link, blocks, seed=1))
