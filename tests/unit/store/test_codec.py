from typing import ClassVar

import pytest

from qstrata.core.effects import Record
from qstrata.core.errors import EnvironmentFaultError, InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import seconds
from qstrata.store import codec, records
from qstrata.store.records import BlockBits, KeyRecord, KeyState, SessionMark, SessionRecord

YEAR_S = 365 * 86400


def test_every_kind_of_row_has_a_form():
    defined = {
        value.kind
        for value in vars(records).values()
        if isinstance(value, type) and issubclass(value, Record) and value.kind
    }
    assert set(codec.KINDS) == defined


def test_secret_kinds_are_those_with_key_material():
    secret = {
        kind
        for kind, record in codec.KINDS.items()
        if "KeyMaterial" in str(record.__annotations__.get("bits"))
    }
    assert secret == codec.SECRET_KINDS


def test_bits_come_back_as_key_material():
    body = codec.encode(BlockBits(link="a-b", number=1, bits=KeyMaterial(b"\x00\xffsecret")))
    row = codec.decode("block-bits", body)
    assert isinstance(row, BlockBits)
    assert row.bits.take() == b"\x00\xffsecret"


def test_bits_that_are_gone_stay_gone():
    key = KeyRecord(
        key_id="k", session="s", sequence=1, own=False, size_bits=8, valid_until_ps=1,
        state=KeyState.DELIVERED, bits=None, delivered_to=("a", "b"),
    )  # fmt: skip
    assert codec.decode("key", codec.encode(key)) == key


def test_an_end_in_a_hundred_years_keeps_its_picoseconds():
    end = seconds(100 * YEAR_S) + 1
    session = SessionRecord(
        session="s", unit="u", local="a", peer="b", peer_site="x", size_bits=256, depth=10, valid_until_ps=end
    )
    assert end > 2**64
    assert codec.decode("session", codec.encode(session)) == session


def test_a_kind_that_is_not_listed_is_refused():
    class Other(Record, frozen=True):
        kind: ClassVar[str] = "other"

    with pytest.raises(InternalError, match="Other is no kind of row"):
        codec.encode(Other())
    with pytest.raises(EnvironmentFaultError, match="use the version that wrote them"):
        codec.decode("other", b"{}")


@pytest.mark.parametrize("bits", ["5", '"???"', '"c2VjcmV0"x', "null"])
def test_a_row_of_another_form_is_refused_without_showing_it(bits: str):
    body = f'{{"link": "a-b", "number": 1, "bits": {bits}}}'.encode()
    with pytest.raises(EnvironmentFaultError) as refused:
        codec.decode("block-bits", body)
    assert "block-bits" in str(refused.value)
    assert "c2VjcmV0" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_field_that_came_later_takes_its_default():
    assert codec.decode("mark", b'{"session": "s"}') == SessionMark(session="s")
