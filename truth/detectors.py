"""Detectors: dead time, after-pulses, efficiency, dark counts, the window of their jitter."""

import math

from qstrata.physics.detectors import Detector
from truth import closed_forms as cf
from truth.devices import click, count, link, total
from truth.row import Row, at_least, of_share


def dead_time(share: float) -> list[Row]:
    """Let detectors be dead after each click; the rate falls as that of a non-paralysable detector."""
    rows = []
    for seed, dead_ns in enumerate((20.0, 50.0, 200.0), 1):
        parameters = link(3.0, eta_bob=0.9, pulse_rate_hz=1e8, dead_time_ns=10 * dead_ns)
        counts = click(parameters, at_least(1, 2, share), seed=seed)
        clicks = sum(
            p * cf.gain(parameters.eta, mu, parameters.y0)
            for p, mu in zip(parameters.intensity_probabilities, parameters.intensities, strict=True)
        )
        m = cf.dead_time(clicks, round(dead_ns))
        name = f"dead time of {dead_ns:g} pulses, at clicks: clicks per pulse"
        rows.append(
            of_share(
                name,
                counts.detections,
                counts.pulses,
                m,
                "m = n/(1 + n tau) of each detector",
                f"{counts.pulses:.1e} pulses, seed {seed}",
            )
        )
    return rows


def after_pulses(share: float) -> list[Row]:
    """Let detectors click of themselves: half of those clicks are wrong."""
    rows = []
    for p in (0.02, 0.1):
        parameters = link(pulse_rate_hz=1e9, y0=0.0, e_d=0.0, dead_time_ns=30.0, afterpulse_probability=p)
        counts = click(parameters, at_least(2, 80 if p < 0.05 else 15, share))
        sifted, wrong = sum(counts.n[0]), sum(counts.m[0])
        name = f"after-pulses of {p:.0%}, at clicks: error rate that they make"
        rows.append(of_share(name, wrong, sifted, p / 2, "p/2", f"{sifted:.1e} sifted bits, seed 1"))
    return rows


def figures_take_effect(share: float) -> list[Row]:
    """Change efficiency and dark counts: clicks per pulse follow, at both levels of detail."""
    rows = []
    for efficiency in (0.8, 1.0):
        parameters = link(4.0, eta_bob=efficiency)
        expected = sum(
            p * cf.gain(parameters.eta, mu, parameters.y0)
            for p, mu in zip(parameters.intensity_probabilities, parameters.intensities, strict=True)
        )
        for level, counts in (
            ("counts", total(count(parameters, at_least(1, 2, share)))),
            ("clicks", click(parameters, at_least(1, 2, share))),
        ):
            name = f"detector efficiency {efficiency:g}, at {level}: clicks per pulse"
            rows.append(
                of_share(
                    name,
                    counts.detections,
                    counts.pulses,
                    expected,
                    cf.MA,
                    f"{counts.pulses:.1e} pulses, seed 1",
                )
            )
    for rate_hz in (1e4, 2e4):
        detector = Detector(dark_count_rate_hz=rate_hz, window_ps=500.0)
        parameters = link(4.0, y0=detector.dark_yield, pulse_rate_hz=1e9)
        counts = total(count(parameters, at_least(2, 10, share)))
        hits = counts.n[0][2] + counts.n[1][2]
        name = f"dark counts of {rate_hz:g}/s: clicks per vacuum pulse in equal bases"
        expected = 0.58 * 2 * rate_hz * 500e-12
        rows.append(
            of_share(
                name,
                hits,
                counts.sent[2],
                expected,
                "two detectors, rate times window",
                f"{counts.pulses:.1e} pulses, seed 1",
            )
        )
    return rows


def jitter(share: float) -> list[Row]:
    """Compare the share of clicks in the window with drawn instants; here the draws have the error."""
    rows = []
    for seed, (fwhm, window) in enumerate(((100.0, 100.0), (400.0, 500.0)), 2):
        draws = at_least(10_000, 1_000_000, share)
        drawn, error = cf.normal_share(window, fwhm, seed, draws)
        ours = Detector(jitter_fwhm_ps=fwhm, window_ps=window).window_share
        name = f"jitter of {fwhm:g} ps in a window of {window:g} ps: share of clicks that count"
        rows.append(
            Row(
                name,
                ours,
                error,
                drawn,
                "normal instants, drawn one by one",
                f"{draws:.0e} instants, seed {seed}",
            )
        )
    return rows


def key_never_beats_the_channel(share: float) -> list[Row]:
    """Distil blocks of a link with perfect devices: never more than -log2(1 - eta) per pulse."""
    from qstrata.physics.finite_key import key_length_bits

    rows = []
    for loss_db in (0.5, 3.0, 10.0, 25.0, 50.0):
        parameters = link(loss_db, eta_bob=1.0, y0=0.0, e_d=0.0, error_correction_efficiency=1.0)
        block = total(count(parameters, at_least(2, 50, share), 3600))
        rate = key_length_bits(block, parameters).length_bits / block.pulses
        eta = 10 ** (-loss_db / 10)
        name = f"key per pulse of perfect devices over {loss_db:g} dB, against the PLOB bound"
        bound = -math.log2(1 - eta)
        rows.append(
            Row(
                name,
                rate,
                rate / math.sqrt(sum(block.n[0])),
                bound,
                "-log2(1 - eta), Pirandola et al. 2017",
                f"{block.pulses:.1e} pulses, seed 1",
                "<=",
            )
        )
    return rows
