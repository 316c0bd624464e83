"""Attacks on devices, injected into a running link: pulses shifted in time, light into the transmitter."""

from scipy.stats import norm

from qstrata.physics.counts import Counts
from qstrata.physics.parameters import LinkParameters
from truth import closed_forms as cf
from truth.attacks import BOTH_BASES, LOSS_DB
from truth.devices import click, count, link, total
from truth.row import Row, at_least, of_share

RATIO, SHIFT_PS, FWHM_PS, WINDOW_PS = 0.25, 150.0, 100.0, 500.0
"""The usual detectors: a shifted pulse finds one of them a quarter as efficient as the other."""
QI, ZHAO, GISIN = "Qi et al. 2007, by detector", "Zhao et al. 2008", "Gisin et al. 2006"
WATCH = 0.01, 1000.0
"""What comes into the transmitter: the share that its watch detector sees, and its dark counts a second."""

Sides = list[tuple[float, float, float]]
"""Shares of the pulses, with the transmittance up to the detector of bit 0 and to that of bit 1."""


def _sides(parameters: LinkParameters, to_one: float = 0.0, to_either: float = 0.0) -> Sides:
    """Return where pulses go; a better fibre makes up for what shifted ones lose, as far as there is loss."""
    made_up = min(2 / (1 + RATIO), 10 ** (parameters.loss_db / 10))
    better, worse = parameters.eta * made_up, parameters.eta * made_up * RATIO
    honest = (1 - to_one - to_either, parameters.eta, parameters.eta)
    return [honest, (to_one + to_either / 2, better, worse), (to_either / 2, worse, better)]


def _gain(sides: Sides, mu: float, y0: float, detectors: tuple[int, ...] = (1, 2)) -> float:
    """Return the clicks per pulse of some of the detectors: each has half the pulses and the background."""
    return sum(side[0] * cf.gain(side[detector], mu, y0) / 2 for side in sides for detector in detectors)


def _mean(parameters: LinkParameters, sides: Sides, y0: float, detectors: tuple[int, ...] = (1, 2)) -> float:
    pairs = zip(parameters.intensity_probabilities, parameters.intensities, strict=True)
    return sum(share * _gain(sides, mu, y0, detectors) for share, mu in pairs)


def _off_centre(parameters: LinkParameters, sides: Sides, shifted_ps: float) -> float:
    """Return the share of clicks in the outer half of the window: light by the normal law, half of others."""
    spread_ps = FWHM_PS / 2.3548200450309493
    still, moved = (
        norm(loc=at_ps, scale=spread_ps).cdf(-WINDOW_PS / 4)
        + norm(loc=at_ps, scale=spread_ps).sf(WINDOW_PS / 4)
        for at_ps in (0.0, shifted_ps)
    )
    light = [_mean(parameters, part, 0.0) for part in (sides[:1], sides[1:])]
    outer = still * light[0] + moved * light[1] + parameters.y0 / 2
    return float(outer / (sum(light) + parameters.y0))


def _sifted(counts: Counts) -> tuple[int, int]:
    return sum(sum(row) for row in counts.n), sum(sum(row) for row in counts.m)


def _unmoved(
    name: str, counts: Counts, parameters: LinkParameters, sides: Sides, sample: str, source: str = QI
) -> list[Row]:
    """Return the rows of what such attacks leave as it was: the rate of signal clicks, and the errors."""
    clicks, wrong = _sifted(counts)
    mean = _mean(parameters, sides, parameters.y0)
    errors = parameters.y0 / 2 + 0.033 * (mean - parameters.y0)
    signal = BOTH_BASES * _gain(sides, parameters.signal_intensity, parameters.y0)
    hits = counts.n[0][0] + counts.n[1][0]
    return [
        of_share(
            f"{name}: clicks per signal pulse in equal bases", hits, counts.sent[0], signal, source, sample
        ),
        of_share(
            f"{name}: error rate, of the light unmoved", wrong, clicks, errors / mean, "e_d and Y0", sample
        ),
    ]


def efficiency_mismatch(share: float) -> list[Row]:
    """Shift pulses to one side: the detector that sees them better clicks more often."""
    rows, parameters = [], link(LOSS_DB)
    for seed, s in enumerate((0.05, 0.5, 1.0), 31):
        counts = total(count(parameters, at_least(20, 1_000, share), seed=seed, efficiency_mismatch=s))
        sides = _sides(parameters, to_one=s)
        name, sample = f"efficiency mismatch, {s:.0%} shifted", f"{counts.pulses:.1e} pulses, seed {seed}"
        ones = _mean(parameters, sides, parameters.y0, (2,)) / _mean(parameters, sides, parameters.y0)
        rows.append(
            of_share(f"{name}: share of bit 1", counts.clicks_one, counts.detections, ones, QI, sample)
        )
        rows += _unmoved(name, counts, parameters, sides, sample)
    return [*rows, *_at_clicks(share)]


def _at_clicks(share: float) -> list[Row]:
    rows, parameters = [], link(LOSS_DB)
    for seed, (kind, sides) in enumerate(
        (
            ("efficiency_mismatch", _sides(parameters, to_one=0.4)),
            ("time_shift", _sides(parameters, to_either=0.4)),
        ),
        34,
    ):
        counts = click(parameters, at_least(2, 5, share), seed=seed, **{kind: 0.4})
        ones = _mean(parameters, sides, parameters.y0, (2,)) / _mean(parameters, sides, parameters.y0)
        rows.append(
            of_share(
                f"{kind.replace('_', ' ')}, 40% shifted, at clicks: share of bit 1",
                counts.clicks_one,
                counts.detections,
                ones,
                QI,
                f"{counts.detections:.1e} clicks, seed {seed}",
            )
        )
    return rows


def time_shift(share: float) -> list[Row]:
    """Shift pulses to either side: bits stay even, but clicks come early or late."""
    rows, windows = [], at_least(20, 1_000, share)
    for seed, (s, loss_db) in enumerate(((0.0, LOSS_DB), (0.1, LOSS_DB), (1.0, LOSS_DB), (1.0, 0.0)), 36):
        parameters = link(loss_db)
        counts = total(count(parameters, windows, seed=seed, **({"time_shift": s} if s else {})))
        sides = _sides(parameters, to_either=s)
        name = f"time shift of {s:.0%} at {loss_db:g} dB"
        sample = f"{counts.pulses:.1e} pulses, seed {seed}"
        late = _off_centre(parameters, sides, SHIFT_PS)
        rows += [
            of_share(f"{name}: share of bit 1", counts.clicks_one, counts.detections, 0.5, ZHAO, sample),
            of_share(
                f"{name}: clicks off centre",
                counts.clicks_outer,
                counts.detections,
                late,
                "scipy: normal law of either side",
                sample,
            ),
        ]
        rows += _unmoved(name, counts, parameters, sides, sample) if s else []
    return rows


def trojan_horse(share: float) -> list[Row]:
    """Shine light into the transmitter: its watch detector alone sees it."""
    rows, parameters = [], link(LOSS_DB)
    seen, dark_hz = WATCH
    for seed, photons in enumerate((0.0, 1e-3, 1.0, 100.0), 40):
        counts = total(
            count(
                parameters,
                at_least(20, 1_000, share),
                seed=seed,
                **({"trojan_horse": photons} if photons else {}),
            )
        )
        name, sample = (
            f"Trojan horse, {photons:g} photons per pulse",
            f"{counts.pulses:.1e} pulses, seed {seed}",
        )
        expected = 1 - cf.poisson(0, photons * seen + dark_hz / parameters.pulse_rate_hz)
        rows.append(
            of_share(
                f"{name}: clicks of the watch per pulse",
                counts.watch_clicks,
                counts.pulses,
                expected,
                f"Poisson: {GISIN}",
                sample,
            )
        )
        if photons == 1.0:
            rows += _unmoved(name, counts, parameters, _sides(parameters), sample, cf.MA)
    return rows
