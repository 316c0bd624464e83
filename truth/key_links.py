"""Decoy BB84: gains, error rates, bounds, and the key of a block without end."""

import math

import numpy as np

from qstrata.physics.counts import Counts
from qstrata.physics.finite_key import key_length_bits
from qstrata.physics.parameters import LinkParameters
from truth import closed_forms as cf
from truth.devices import click, count, link, total
from truth.row import Row, at_least, of_share

KINDS = ("signal", "weak", "vacuum")
CLICK_LINK = {"pulse_rate_hz": 1e9, "y0": 2e-5}
"""A background that gives clicks of the vacuum enough to count one by one."""


def _rows(title: str, parameters: LinkParameters, counts: Counts, sample: str) -> list[Row]:
    z, z_bob = parameters.sender_z_probability, parameters.receiver_z_probability
    equal = z * z_bob + (1 - z) * (1 - z_bob)
    rows = []
    for k, mu in enumerate(parameters.intensities):
        if not counts.sent[k]:
            continue
        clicks, wrong = (pair[0][k] + pair[1][k] for pair in (counts.n, counts.m))
        gain = cf.gain(parameters.eta, mu, parameters.y0)
        row = of_share(f"{title}: gain, {KINDS[k]}", clicks, counts.sent[k], equal * gain, cf.MA, sample)
        rows.append(Row(row.name, row.ours / equal, row.error / equal, gain, cf.MA, sample))
        error = cf.qber(parameters.eta, mu, parameters.y0, parameters.e_d)
        rows.append(of_share(f"{title}: error rate, {KINDS[k]}", wrong, clicks, error, cf.MA, sample))
    return rows


def at_counts(share: float) -> list[Row]:
    """Run the devices of the worked values at level `counts`."""
    parameters, windows = link(), at_least(100, 20_000, share)
    counts = total(count(parameters, windows))
    sample = f"{counts.pulses:.1e} pulses, seed 1"
    rows = _rows("decoy BB84 at counts", parameters, counts, sample)
    for row, name, worked in ((rows[0], "gain", 1.924950e-3), (rows[1], "error rate", 3.341243e-2)):
        text = f"decoy BB84 at counts: {name} at 50 km, worked value"
        rows.append(Row(text, row.ours, row.error, worked, cf.MA, sample))
    return [*rows, *_bounds(parameters, counts, sample)]


def _bounds(parameters: LinkParameters, counts: Counts, sample: str) -> list[Row]:
    """Return what is proved of single photons of the block, and what they really did on average."""
    key = key_length_bits(counts, parameters)
    eta, y0 = parameters.eta, parameters.y0
    both_z = parameters.sender_z_probability * parameters.receiver_z_probability
    emitted = sum(n * cf.poisson(1, mu) for n, mu in zip(counts.sent, parameters.intensities, strict=True))
    empty = sum(n * cf.poisson(0, mu) for n, mu in zip(counts.sent, parameters.intensities, strict=True))
    single, vacuum = emitted * both_z * (y0 + eta), empty * both_z * y0
    e1 = (y0 / 2 + parameters.e_d * eta) / (y0 + eta)
    text, source = "decoy BB84 at counts", "what single photons give on average"
    decoys = f"{text}, {'two decoys' if counts.sent[2] else 'one decoy'}"
    spread = math.sqrt(e1 * (1 - e1) / (single * 0.2))
    return [
        Row(
            f"{decoys}: clicks of single photons proved",
            key.s_z1_lower,
            math.sqrt(single),
            single,
            source,
            sample,
            "<=",
        ),
        Row(
            f"{decoys}: clicks of vacuum proved",
            key.s_z0_lower,
            math.sqrt(vacuum),
            vacuum,
            source,
            sample,
            "<=",
        ),
        Row(f"{decoys}: phase error rate proved", key.phase_error_upper, spread, e1, source, sample, ">="),
    ]


def one_decoy(share: float) -> list[Row]:
    """Run a source without vacuum pulses."""
    parameters = link(
        signal_probability=0.7, weak_probability=0.3, vacuum_probability=0.0, weak_intensity=0.15
    )
    counts = total(count(parameters, at_least(100, 2_000, share), seed=2))
    sample = f"{counts.pulses:.1e} pulses, seed 2"
    rows = _rows("decoy BB84 at counts, one decoy", parameters, counts, sample)
    return [*rows, *_bounds(parameters, counts, sample)]


def at_clicks(share: float) -> list[Row]:
    """Run a source of 1 GHz click by click; both ends' records are read and sifted."""
    parameters, blocks = link(**CLICK_LINK), at_least(2, 140, share)
    counts = click(parameters, blocks)
    return _rows("decoy BB84 at clicks", parameters, counts, f"{counts.pulses:.1e} pulses, seed 1")


def error_rate_of_any_length(share: float) -> list[Row]:
    """Run fibres of several lengths without background: the error rate is the devices' at every length."""
    rows = []
    for length_km in (5.0, 50.0, 150.0):
        parameters = link(0.2 * length_km, y0=0.0)
        counts = total(count(parameters, at_least(20, 4_000, share), seed=round(length_km)))
        clicks, wrong = (sum(sum(basis) for basis in pair) for pair in (counts.n, counts.m))
        sample = f"{clicks:.1e} sifted bits, seed {length_km:g}"
        rows.append(
            of_share(f"error rate over {length_km:g} km, no background", wrong, clicks, 0.033, "e_d", sample)
        )
    return rows


def limit_of_long_blocks(share: float) -> list[Row]:
    """Let blocks grow: the key per pulse goes to that of a block without end, with the root of its length.

    The rate of 4 N pulses is nearer to it by half than that of N: twice the one less the other is the limit.
    """
    replicates = at_least(8, 40, share)
    rows = []
    for title, changes, closed in (
        ("two decoys", {}, _limit_two_decoys),
        ("one decoy", _ONE_DECOY, _limit_one_decoy),
    ):
        parameters = link(pulse_rate_hz=1e11, **changes)
        rates = []
        for window_s in (10**7, 4 * 10**7):
            blocks = count(parameters, replicates, window_s, seed=window_s)
            rates.append(
                np.array([key_length_bits(block, parameters).length_bits / block.pulses for block in blocks])
            )
        limits = 2 * rates[1] - rates[0]
        error = float(limits.std(ddof=1)) / math.sqrt(len(limits))
        name = f"finite key, {title}: bits per pulse of a block without end"
        sample = f"{2 * replicates} blocks of 1e18 and 4e18 pulses"
        rows.append(
            Row(
                name,
                float(limits.mean()),
                error,
                closed(parameters),
                f"{cf.MA}; Lim et al. 2014; Rusca et al. 2018",
                sample,
            )
        )
        finite = f"finite key, {title}: bits per pulse of 4e18 pulses"
        rows.append(
            Row(
                finite,
                float(rates[1].mean()),
                error,
                closed(parameters),
                "limit of a block without end",
                sample,
                "<=",
            )
        )
    return rows


_ONE_DECOY = {
    "signal_probability": 0.7,
    "weak_probability": 0.3,
    "vacuum_probability": 0.0,
    "weak_intensity": 0.15,
}


def _mean(parameters: LinkParameters, values: list[float]) -> float:
    return sum(p * v for p, v in zip(parameters.intensity_probabilities, values, strict=True))


def _limit(parameters: LinkParameters, y0: float, y1: float, e1: float) -> float:
    """Return the secret bits per pulse, with these yields of vacuum and single photons, and their error."""
    gains = [cf.gain(parameters.eta, mu, parameters.y0) for mu in parameters.intensities]
    wrong = [
        cf.qber(parameters.eta, mu, parameters.y0, parameters.e_d) * q
        for mu, q in zip(parameters.intensities, gains, strict=True)
    ]
    clicks, errors = _mean(parameters, gains), _mean(parameters, wrong)
    tau_0, tau_1 = (_mean(parameters, [cf.poisson(n, mu) for mu in parameters.intensities]) for n in (0, 1))
    told = parameters.error_correction_efficiency * clicks * cf.h(errors / clicks)
    return (
        parameters.sender_z_probability
        * parameters.receiver_z_probability
        * (tau_0 * y0 + tau_1 * y1 * (1 - cf.h(e1)) - told)
    )


def _limit_two_decoys(parameters: LinkParameters) -> float:
    eta, y0, (mu, nu, _) = parameters.eta, parameters.y0, parameters.intensities
    gains = cf.gain(eta, mu, y0), cf.gain(eta, nu, y0)
    y1, e1 = cf.weak_decoy(gains, cf.qber(eta, nu, y0, parameters.e_d), y0, mu, nu)
    return _limit(parameters, y0, y1, e1)


def _limit_one_decoy(parameters: LinkParameters) -> float:
    """Return the limit by Rusca et al. 2018: vacuum clicks are at most twice the errors."""
    eta, y0, (mu, nu, _) = parameters.eta, parameters.y0, parameters.intensities
    q_mu, q_nu = cf.gain(eta, mu, y0), cf.gain(eta, nu, y0)
    wrong = [cf.qber(eta, i, y0, parameters.e_d) * cf.gain(eta, i, y0) * math.exp(i) for i in (mu, nu)]
    y0_upper = 2 * min(wrong)
    y0_lower = max(0.0, (mu * q_nu * math.exp(nu) - nu * q_mu * math.exp(mu)) / (mu - nu))
    y1 = (
        mu
        / (nu * (mu - nu))
        * (q_nu * math.exp(nu) - (nu / mu) ** 2 * q_mu * math.exp(mu) - (mu**2 - nu**2) / mu**2 * y0_upper)
    )
    return _limit(parameters, min(y0_lower, y0_upper), y1, (wrong[0] - wrong[1]) / (mu - nu) / y1)
