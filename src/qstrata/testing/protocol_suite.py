"""The conformance suite of key protocols: what links, agents and watches rely on, checked on any protocol."""

import math
from collections.abc import Iterator
from typing import TypeVar

import msgspec
import numpy as np

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.physics.counts import Counts, ExpectedCounts
from qstrata.physics.parameters import ClickLinkParameters, KeyLinkParameters, Parameter
from qstrata.physics.protocols.base import KeyProtocol
from qstrata.physics.protocols.gaussian import QuadratureProtocol
from qstrata.physics.protocols.model import LinkProtocol
from qstrata.physics.tallies import ExpectedTally
from qstrata.testing.quadrature_suite import check_law, check_sums
from qstrata.twin.sampling import draw_counts, odds

P = TypeVar("P", bound=KeyLinkParameters)
C = TypeVar("C", bound=ClickLinkParameters)

LOSSES_DB = (10.0, 15.0, 20.0, 30.0, 40.0)
"""From where detectors with dead time are no longer saturated."""

PULSES = 10**10
_DRAWS = 8
_STANDARD_ERRORS = 5.0


def check_protocol(protocol: KeyProtocol[P]) -> None:
    """Check a key protocol, with each of its profiles, against everything that links rely on.

    Raises AssertionError that says which promise was broken.
    """
    names = [parameter.name for parameter in protocol.table]
    assert len(set(names)) == len(names), f"{protocol.name}: a parameter stands twice in the table"
    assert protocol.profiles, f"{protocol.name}: it has no profile, so that no link can be made"
    for profile in protocol.profiles:
        own = {field.name for field in msgspec.structs.fields(profile.parameters)}
        _demand(own == set(names), protocol, f"the table has {sorted(own ^ set(names))} too many or too few")
        for field in profile.fields:
            _demand(bool(field.source and field.unit), protocol, f"{field.name} has no source or no unit")
        links = [profile.link_parameters(loss_db) for loss_db in LOSSES_DB]
        for link in (*links, msgspec.structs.replace(links[0], loss_db=math.inf)):
            _demand(link.protocol is protocol, protocol, "its parameters are those of another protocol")
            _check_tally(protocol, link)
            _check_length(protocol, link)
        _check_order(protocol, links)
        for parameter in protocol.table:
            _check_refusal(protocol, links[0], parameter)


def _demand(holds: bool, protocol: KeyProtocol[P], promise: str) -> None:
    assert holds, f"{protocol.name}: {promise}"


def _check_tally(protocol: KeyProtocol[P], link: P) -> None:
    match protocol:
        case LinkProtocol():
            _check_probabilities(protocol, link)
            _check_draws(protocol, link)
        case QuadratureProtocol():
            check_law(protocol, link)
            check_sums(protocol, link, PULSES, _DRAWS, _STANDARD_ERRORS)
        case _:
            raise AssertionError(f"{protocol.name} is neither a LinkProtocol nor a QuadratureProtocol")


def _check_probabilities(protocol: LinkProtocol[C], link: C) -> None:
    table = protocol.outcome_probabilities(link)
    _demand(
        table.ndim == 2 and 1 <= table.shape[0] <= 3 and table.shape[1] == 7, protocol, "the shape is (k, 7)"
    )
    _demand(bool((table >= 0.0).all()), protocol, "a probability is negative")
    _demand(abs(float(table.sum()) - 1.0) < 1e-9, protocol, "the probabilities do not add up to 1")
    same = np.array_equal(table, protocol.outcome_probabilities(link))
    _demand(same, protocol, "equal parameters give other probabilities")
    doubles = protocol.double_click_probability(link)
    _demand(0.0 <= doubles <= 1.0, protocol, "the probability of double clicks is none")


def _check_draws(protocol: LinkProtocol[C], link: C) -> None:
    drawn = draw_counts(stream(1, protocol.name), odds(link), [PULSES] * _DRAWS)
    mean = protocol.expected_counts(link, float(PULSES))
    expected = list(_figures(mean))
    for counts in drawn:
        _demand(counts.pulses == PULSES, protocol, "pulses are lost")
        for (name, count), (_, share) in zip(_figures(counts), expected, strict=True):
            spread = math.sqrt(max(1.0, share * (1.0 - share / PULSES)))
            _demand(
                abs(count - share) <= _STANDARD_ERRORS * spread,
                protocol,
                f"{count} {name} were drawn, {share:.1f} are expected: more than 5 standard errors off",
            )


def _figures(counts: Counts | ExpectedCounts) -> Iterator[tuple[str, float]]:
    for basis, name in enumerate("ZX"):
        yield f"sifted clicks in {name}", sum(counts.n[basis])
        yield f"errors in {name}", sum(counts.m[basis])
    yield "clicks", counts.detections
    yield "clicks of a receiver in Z", counts.clicks_z
    yield "double clicks", counts.double_clicks
    yield "clicks of bit 1", counts.clicks_one
    yield "clicks off centre", counts.clicks_outer
    yield "clicks of the watch", counts.watch_clicks


def _check_length(protocol: KeyProtocol[P], link: P) -> None:
    _demand(protocol.key_length(protocol.nothing, link).length_bits == 0, protocol, "key is made of nothing")
    limit = protocol.asymptotic_rate(link)
    _demand(limit >= 0.0, protocol, "the asymptotic rate is negative")
    before = 0.0
    for pulses in (1e6, 1e8, 1e10, 1e12):
        counts = protocol.expected_counts(link, pulses)
        estimate = protocol.key_length(counts, link)
        _demand(estimate == protocol.key_length(counts, link), protocol, "equal counts give other lengths")
        length, raw = estimate.length_bits, _raw_bits(counts)
        _demand(0 <= length <= raw, protocol, f"{length} bits of key are made of {raw:.0f} raw bits")
        _demand(length <= limit * pulses + 1.0, protocol, "a finite block has more key than its limit")
        _demand(length / pulses >= before, protocol, "a longer block has less key per pulse")
        before = length / pulses
        noisy = protocol.key_length(_spoiled(counts), link)
        _demand(noisy.length_bits == 0, protocol, "key is made of what the two ends do not have in common")
    if math.isinf(link.loss_db):
        _demand(limit == 0.0 and before == 0.0, protocol, "key is made without light")


def _raw_bits(tally: ExpectedTally) -> float:
    return sum(tally.n[0]) if isinstance(tally, ExpectedCounts) else tally.key_values


def _spoiled(tally: ExpectedTally) -> ExpectedTally:
    """Return a tally whose bits all differ, or whose results know nothing of what was sent."""
    if isinstance(tally, ExpectedCounts):
        return msgspec.structs.replace(tally, m=tally.n)
    return msgspec.structs.replace(tally, products=0.0)


def _check_order(protocol: KeyProtocol[P], links: list[P]) -> None:
    rates = [protocol.asymptotic_rate(link) for link in links]
    _demand(rates == sorted(rates, reverse=True), protocol, "more loss gives more key")
    _demand(rates[0] > 0.0, protocol, f"there is no key at {LOSSES_DB[0]:g} dB")


def _check_refusal(protocol: KeyProtocol[P], link: P, parameter: Parameter) -> None:
    for value in (parameter.minimum - 1.0, 2.0 * parameter.maximum + 1.0, math.nan):
        try:
            protocol.check(msgspec.structs.replace(link, **{parameter.name: value}))
        except InputError as refusal:
            told = str(refusal)
        else:
            raise AssertionError(f"{protocol.name}: {parameter.name} {value} is accepted")
        for word in (parameter.name, f"{parameter.minimum:g}", f"{parameter.maximum:g}"):
            _demand(word in told, protocol, f"the refusal of {parameter.name} {value} lacks {word!r}: {told}")
        for field in protocol.profiles[0].fields:
            if field.name == parameter.name:
                _demand(field.source in told, protocol, f"the refusal of {field.name} names no source")
