"""Figures of a network file that contradict each other, although each is in its range.

Each table is judged as soon as it and what it inherits from are right in shape, so that a fault of one table
hides nothing of another.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from qstrata.core.errors import InputError
from qstrata.network.description import Link
from qstrata.network.document import MAX_PROBLEMS, Problem, View
from qstrata.network.entries import (
    OF_PAIRS,
    LinkDefaults,
    LinkEntry,
    LinkKind,
    OwnLimits,
    Plain,
    complete_link,
    layered,
)
from qstrata.network.levels import check_level, long_block
from qstrata.network.pair_tables import Memories, PairLink, makes_pairs
from qstrata.network.protocol_checks import check_devices
from qstrata.network.protocols import are_known
from qstrata.network.shape import read
from qstrata.network.tables import Clock, Demand, Limits, Session, SessionFigures

T = TypeVar("T", bound=msgspec.Struct)

_TYPES: dict[type[msgspec.Struct], inspect.Type] = {
    kind: inspect.type_info(kind)
    for kind in (
        Clock,
        Demand,
        Limits,
        Memories,
        LinkDefaults,
        LinkEntry,
        LinkKind,
        OwnLimits,
        Session,
        SessionFigures,
    )
}
_OF_KEYS = tuple(
    field.encode_name for field in msgspec.structs.fields(LinkKind) if field.encode_name not in OF_PAIRS
)
_ANY_LINK = {"ends": ["a", "b"], "length-km": 1, "loss-db": 0}


def check_figures(root: View) -> list[Problem]:
    """Return the figures that contradict each other, in the tables that are right in shape."""
    figures = _Figures(root)
    checks = (
        figures.clock,
        figures.limits,
        figures.devices,
        figures.memories,
        figures.sessions,
        figures.demands,
    )
    return list(islice(chain.from_iterable(check() for check in checks), MAX_PROBLEMS))


def _data(view: View, kind: type[msgspec.Struct]) -> Plain | None:
    """Return the data of a table, empty where there is none, None where it is wrong in shape."""
    if view.tree is None:
        return {}
    data, faults = read(view.tree, _TYPES[kind])
    return None if faults else data


def _struct(view: View, kind: type[T]) -> T | None:
    data = _data(view, kind)
    return None if data is None else msgspec.convert(data, kind)


def _first(views: Iterable[View], otherwise: View) -> View:
    return next((view for view in views if view.tree is not None), otherwise)


class _Figures:
    def __init__(self, root: View) -> None:
        self.root = root
        self.defaults = root.get("defaults")
        self.kinds = root.get("kinds")

    def clock(self) -> Iterator[Problem]:
        view = self.root.get("clock")
        clock, rate = _struct(view, Clock), view.get("rate")
        if view.tree is None or clock is None:
            return
        if clock.mode != "scaled" and rate.tree is not None:
            message = "a rate is for `mode: scaled`; change the mode or remove the rate"
            yield Problem(rate.place, message, "mode: scaled")
        if clock.mode == "scaled" and rate.tree is None:
            message = "a scaled clock needs its `rate`, such as `rate: 10` for ten times real time"
            yield Problem(view.place, message, "rate: 10")

    @cached_property
    def node_limits(self) -> dict[str, tuple[Limits | None, View]]:
        """The limits of each node, None where something of them is wrong in shape, and where they stand."""
        default = _data(self.defaults.get("limits"), Limits)
        found: dict[str, tuple[Limits | None, View]] = {}
        for node in self.root.get("nodes").items():
            of_kind = self.kinds.get("nodes").get(node.get("kind").text or "").get("limits")
            own = node.get("kme").get("limits")
            layers = (default, _data(of_kind, OwnLimits), _data(own, OwnLimits))
            sound = [layer for layer in layers if layer is not None]
            limits = msgspec.convert(layered(*sound), Limits) if len(sound) == len(layers) else None
            at = _first((own, of_kind), self.defaults.get("limits"))
            found.setdefault(node.get("name").text or "", (limits, at))
        return found

    def limits(self) -> Iterator[Problem]:
        default = self.defaults.get("limits")
        for limits, view in ((_struct(default, Limits), default), *self.node_limits.values()):
            if limits is not None and limits.min_key_size_bits > limits.max_key_size_bits:
                low, high = limits.min_key_size_bits, limits.max_key_size_bits
                message = f"the smallest key has {low} bits, the largest {high}: no size is left"
                turned = f"min-key-size-bits: {high}, max-key-size-bits: {low}"
                yield Problem(view.place, message, turned)

    def devices(self) -> Iterator[Problem]:
        default_view = self.defaults.get("link")
        default = _data(default_view, LinkDefaults)
        kinds = {key.text: (_data(view, LinkKind), view) for key, view in self.kinds.get("links").tables()}
        for data, view in kinds.values():
            yield from self._device(_ANY_LINK, data, default, (view, default_view))
        for link in self.root.get("links").items():
            kind, kind_view = kinds.get(link.get("kind").text or "", ({}, View(None)))
            yield from self._device(_data(link, LinkEntry), kind, default, (link, kind_view, default_view))

    def _device(
        self, link: Plain | None, kind: Plain | None, default: Plain | None, views: tuple[View, ...]
    ) -> Iterator[Problem]:
        if link is None or kind is None or default is None:
            return
        whole = complete_link(link, kind, default)
        if makes_pairs(whole.get("protocol")):
            yield from _pair_link(whole, views[:-1], is_kind=link is _ANY_LINK)
            return
        for view in views[:-1]:
            if (at := view.get("heralding")).tree is not None:
                message = "`heralding` is of links for pairs: give `protocol: barrett-kok`"
                yield Problem(at.place, message, "protocol: barrett-kok")
        if not are_known(whole):
            return
        if foreign := check_devices(whole, views):
            # A kind that leaves the protocol to its links is judged with them.
            yield from foreign if link is not _ANY_LINK or "protocol" in whole else ()
            return
        try:
            sound = msgspec.convert({"channels": "default", **whole}, Link)
            _ = sound.link_parameters
        except InputError as fault:
            at = _first((view.get("parameters") for view in views), views[0])
            yield Problem(at.place, str(fault))
            return
        try:
            if link is not _ANY_LINK:
                check_level(sound)
        except InputError as fault:
            at = _first((view.get("level") for view in views), views[0])
            yield Problem(at.place, str(fault), "level: counts")
            return
        if link is not _ANY_LINK and (long := long_block(sound)) is not None:
            at = _first((view.get("block-s") for view in views), views[0])
            yield Problem(at.place, long.text, f"block-s: {long.block_s}" if long.block_s else "")

    def memories(self) -> Iterator[Problem]:
        kinds = {key.text: view.get("memories") for key, view in self.kinds.get("nodes").tables()}
        for view in kinds.values():
            yield from _memories(_data(view, Memories), view)
        for node in self.root.get("nodes").items():
            of_kind = kinds.get(node.get("kind").text or "", View(None))
            own = node.get("memories")
            layers = [_data(of_kind, Memories), _data(own, Memories)]
            if own.tree is not None and None not in layers:
                yield from _memories(layered(*(layer for layer in layers if layer is not None)), own)

    @cached_property
    def sae_limits(self) -> dict[str, Limits]:
        """The limits of the KME of each SAE, where they are known."""
        found: dict[str, Limits] = {}
        for sae in self.root.get("saes").items():
            limits, _ = self.node_limits.get(sae.get("node").text or "", (None, None))
            if limits is not None and sae.get("name").text is not None:
                found.setdefault(sae.get("name").text or "", limits)
        return found

    def sessions(self) -> Iterator[Problem]:
        view = self.defaults.get("session")
        default = _data(view, SessionFigures)
        limits = _struct(self.defaults.get("limits"), Limits)
        if default is None:
            return
        if view.tree is not None and limits is not None:
            yield from _fits(view, default, limits)
        for at in self.root.get("sessions").items():
            own = _data(at, Session)
            for each in self._of_both(own):
                yield from _fits(at, layered(default, own or {}), each)

    def demands(self) -> Iterator[Problem]:
        for view in self.root.get("demands").items():
            data = _data(view, Demand)
            for limits in self._of_both(data):
                demand = msgspec.convert(data, Demand)
                most = limits.max_key_per_request
                if demand.number > most:
                    message = f"a request for this KME may ask for at most {most} keys"
                    yield Problem(view.get("number").place, message, str(most))
                if demand.key_size_bits is not None:
                    yield from _fits(view, {"key-size-bits": demand.key_size_bits, "depth-keys": 0}, limits)

    def _of_both(self, entry: Plain | None) -> list[Limits]:
        names = entry["between"] if entry is not None else []
        return [self.sae_limits[name] for name in names if name in self.sae_limits]


def _pair_link(whole: Plain, views: tuple[View, ...], *, is_kind: bool) -> Iterator[Problem]:
    """Tell what a link for pairs has that is of links for keys, and figures that no such link has."""
    for view in views:
        for key in _OF_KEYS:
            if (at := view.get(key)).tree is not None:
                yield Problem(at.place, f"`{key}` is of links for keys, this one makes pairs: remove it")
    try:
        link = msgspec.convert({"channels": "default", **whole}, PairLink)
        _ = link.link_parameters
        if not is_kind:
            _ = link.channel_delay_ps
    except InputError as fault:
        at = _first((view.get("channels") for view in views), views[0])
        yield Problem(at.place, str(fault), "channels: default")


def _memories(data: Plain | None, view: View) -> Iterator[Problem]:
    if data is None:
        return
    try:
        _ = msgspec.convert(data, Memories).device_parameters
    except InputError as fault:
        t1_s = data.get("t1-s")
        yield Problem(_first((view.get("t2-s"),), view).place, str(fault), f"{2 * t1_s:g}" if t1_s else "")


def _fits(view: View, figures: dict[str, Any], limits: Limits) -> Iterator[Problem]:
    standard = SessionFigures()
    size = figures.get("key-size-bits", standard.key_size_bits)
    depth = figures.get("depth-keys", standard.depth_keys)
    low, high, most = limits.min_key_size_bits, limits.max_key_size_bits, limits.max_stored_keys
    if not low <= size <= high and low <= high:
        at = _first((view.get("key-size-bits"),), view)
        message = f"keys of {size} bits are outside the limits of the KME, {low} to {high} bits"
        yield Problem(at.place, message, str(min(max(size, low), high)))
    if depth > most:
        at = _first((view.get("depth-keys"),), view)
        yield Problem(at.place, f"{depth} keys are more than the KME stores, {most} keys", str(most))
