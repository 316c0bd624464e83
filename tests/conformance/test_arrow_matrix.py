"""The arrow matrix, written out by hand from the draft's figure and text, against what the fabric allows."""

import enum
import types
import typing

import msgspec
import pytest

from qstrata.core.address import Address, End
from qstrata.core.errors import RefusedError
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.figure import ARROWS, MESSAGES, arrow_between
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.queue import EventQueue

# Columns as rows: service, forwarding, connectivity with res tel ctl mgt; application, operator, world.
MATRIX = """
service.res       T5  F7  F1  F1    T2  .   .   .     .   .   .   .     T1  .   T6
service.tel       F7  T5  F4  F4    .   .   .   .     .   .   .   .     .   .   .
service.ctl       F1  F4  T5  T4    .   .   F11 F11   .   .   F12 F12   F10 .   .
service.mgt       F1  F4  T4  T5    .   .   F11 F11   .   .   F12 F12   F10 T7  .
forwarding.res    T2  .   .   .     T5  F8  F2  F2    T3  .   .   .     .   .   T6
forwarding.tel    .   .   .   .     F8  T5  F5  F5    .   .   .   .     .   .   .
forwarding.ctl    .   .   F11 F11   F2  F5  T5  T4    .   .   F13 F13   .   .   .
forwarding.mgt    .   .   F11 F11   F2  F5  T4  T5    .   .   F13 F13   .   T7  .
connectivity.res  .   .   .   .     T3  .   .   .     T5  F9  F3  F3    .   .   T6
connectivity.tel  .   .   .   .     .   .   .   .     F9  T5  F6  F6    .   .   .
connectivity.ctl  .   .   F12 F12   .   .   F13 F13   F3  F6  T5  T4    .   .   .
connectivity.mgt  .   .   F12 F12   .   .   F13 F13   F3  F6  T4  T5    .   T7  .
application       T1  .   F10 F10   .   .   .   .     .   .   .   .     .   .   .
operator          .   .   .   T7    .   .   .   T7    .   .   .   T7    .   .   T8
world             T6  .   .   .     T6  .   .   .     T6  .   .   .     .   T8  .
"""
ROWS = {row.split()[0]: row.split()[1:] for row in MATRIX.strip().splitlines()}
ENDS = [End(name) for name in ROWS]
PAIRS = [(a, b, ROWS[a.value][column]) for a in ENDS for column, b in enumerate(ENDS)]
MAY_CARRY_KEY_BITS = {
    ("service.res", "application"),
    ("service.res", "forwarding.res"),
    ("service.res", "service.res"),
    ("forwarding.res", "forwarding.res"),
    ("connectivity.res", "connectivity.res"),
    ("service.res", "world"),
    ("forwarding.res", "world"),
    ("connectivity.res", "world"),
}


def address(end, name="one"):
    return Address(end, "d", "s", name)


def everything_in_scope():
    """Return a fabric where only arrows decide: one site, own devices, a registered operator, a lab."""
    resources = [end for end in ENDS if end.plane == "res"]
    directory = Directory(
        owners={address(End.WORLD, end.value): address(end) for end in resources},
        operators={address(End.OPERATOR): "operator"},
        lab=True,
    )
    return MemoryFabric(EventQueue(), BearerTable(), Recorder(), directory)


def bind(fabric, a, b):
    """Bind a handle from one end to another; each resource has its own device."""
    from_name = b.value if a is End.WORLD and b.plane == "res" else "one"
    to_name = a.value if b is End.WORLD and a.plane == "res" else "two" if a is b else "one"
    return fabric.port(address(a, from_name)).bind(address(b, to_name))


def sample(annotation):
    """Return some value of an annotated type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        inner = arguments[:1] if len(arguments) == 2 and arguments[1] is Ellipsis else arguments
        return tuple(sample(argument) for argument in inner)
    if origin in (typing.Union, types.UnionType):
        return sample(arguments[0])
    if annotation is KeyMaterial:
        return KeyMaterial(bytes(range(32)))
    if issubclass(annotation, enum.Enum):
        return next(iter(annotation))
    if issubclass(annotation, msgspec.Struct):
        hints = typing.get_type_hints(annotation)
        fields = {name: sample(hints[name]) for name in annotation.__struct_fields__}
        return annotation(**fields)
    return annotation()


def test_the_hand_written_matrix_covers_every_pair_of_the_fifteen_ends():
    assert set(ENDS) == set(End)
    assert len(PAIRS) == 15 * 15


def test_the_hand_written_matrix_has_no_direction():
    assert {(a, b): entry for a, b, entry in PAIRS} == {(b, a): entry for a, b, entry in PAIRS}


@pytest.mark.parametrize(("a", "b", "expected"), PAIRS, ids=lambda value: getattr(value, "value", value))
def test_the_figure_draws_what_the_matrix_says(a, b, expected):
    arrow = arrow_between(a, b)
    assert (arrow.id if arrow else ".") == expected


@pytest.mark.parametrize(("a", "b", "expected"), PAIRS, ids=lambda value: getattr(value, "value", value))
def test_the_fabric_binds_what_the_matrix_says_and_counts_the_rest_as_refused(a, b, expected):
    fabric = everything_in_scope()
    if expected == ".":
        with pytest.raises(RefusedError, match="no arrow joins"):
            bind(fabric, a, b)
        assert [row.count for row in fabric.refusals()] == [1]
    else:
        assert bind(fabric, a, b).arrow.id == expected
        assert fabric.refusals() == ()


def test_key_bits_are_allowed_on_the_arrows_of_resources_only():
    allowed = {frozenset((a.value, b.value)) for arrow in ARROWS if arrow.secret for a, b in arrow.pairs}
    assert allowed == {frozenset(pair) for pair in MAY_CARRY_KEY_BITS}


def test_every_drawn_arrow_and_every_said_one_is_there():
    assert {entry for _, _, entry in PAIRS} - {"."} == {arrow.id for arrow in ARROWS}
    assert {arrow.id for arrow in ARROWS} == {
        *(f"F{n}" for n in range(1, 14)),
        *(f"T{n}" for n in range(1, 9)),
    }


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: f"{kind.arrow}-{kind.__name__}")
def test_a_message_type_is_carried_its_own_way_and_refused_on_every_other_arrow_and_direction(kind):
    fabric = everything_in_scope()
    message = sample(kind)
    carried = set()
    for a, b, entry in PAIRS:
        if entry == ".":
            continue
        handle = bind(fabric, a, b)
        try:
            fabric.send(handle, message, "s", 0)
        except RefusedError:
            continue
        carried.add((a, b, entry))
    assert carried == {
        (a, b, kind.arrow) for a in kind.sent_by for b in kind.sent_to if _joined(a, b, kind.arrow)
    }
    assert carried
    ways = sum(entry != "." for _, _, entry in PAIRS)
    assert len(fabric.refusals()) == ways - len(carried)


def _joined(a, b, arrow_id):
    return ROWS[a.value][ENDS.index(b)] == arrow_id
