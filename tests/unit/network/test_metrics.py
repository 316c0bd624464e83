"""The catalogue of metrics is whole and true: what telemetry gives is in it, and what is in it is given."""

import types
import typing

import msgspec

from qstrata.network.metrics import METRICS
from qstrata.network.remote import NetworkView

STATIC = {
    "nodes[].lon", "nodes[].lat", "links[].length_km", "links[].loss_db", "sessions[].unit.path", "seed",
    "faults[].amount", "faults[].since_ps", "pair_links[].length_km", "pair_links[].loss_db",
    "memories[].cells", "memories[].given",
}  # fmt: skip
"""Numbers that the file or the operator gives, or names: not measured."""


def numbers(kind: object, path: str) -> typing.Iterator[str]:
    """Yield the path of every number and truth value in a type, as it stands in JSON."""
    origin = typing.get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for name, hint in typing.get_type_hints(kind, include_extras=False).items():
            if name in kind.__struct_fields__:
                yield from numbers(hint, f"{path}.{name}" if path else name)
    elif origin in (typing.Union, types.UnionType):
        for option in typing.get_args(kind):
            yield from numbers(option, path)
    elif origin is tuple:
        inner = [option for option in typing.get_args(kind) if option is not Ellipsis]
        if len(inner) == 2 and inner[0] is str:
            yield from numbers(inner[1], path)
        else:
            for option in inner:
                yield from numbers(option, f"{path}[]")
    elif kind in (int, float, bool):
        yield path


def test_every_figure_that_inspect_gives_is_in_the_catalogue():
    given = set(numbers(NetworkView, "")) - STATIC
    assert {metric.path for metric in METRICS} == given


def test_every_metric_has_a_unit_a_source_and_a_sampling_and_stands_once():
    assert len({metric.path for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.unit
        assert metric.plane
        assert metric.sampled
        assert metric.meaning
