"""Attacks, injected into a running link: what the instruments then count, and how often they notice."""

import math

from qstrata.physics.counts import Counts
from qstrata.physics.monitors import Instruments, power
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.raman import ClassicalChannel, raman_click_rate_hz
from truth import closed_forms as cf
from truth.devices import click, count, link, total
from truth.row import Row, at_least, of_share

BOTH_BASES = 0.58
LOSS_DB = 6.0


def _sifted(counts: Counts) -> tuple[int, int]:
    return sum(sum(row) for row in counts.n), sum(sum(row) for row in counts.m)


def _mean(parameters: LinkParameters, values: list[float]) -> float:
    return sum(p * v for p, v in zip(parameters.intensity_probabilities, values, strict=True))


def intercept_resend(share: float) -> list[Row]:
    """Intercept a share of the pulses of a perfect and of a usual link."""
    rows = []
    windows = at_least(20, 1_000, share)
    for seed, f in enumerate((0.1, 0.3, 1.0), 1):
        counts = total(count(link(LOSS_DB, e_d=0.0, y0=0.0), windows, seed=seed, intercept_resend=f))
        clicks, wrong = _sifted(counts)
        name = f"intercept-resend of {f:.0%}: error rate that Eve adds, she re-sends her result"
        rows.append(
            of_share(
                name,
                wrong,
                clicks,
                f / 4,
                "f/4: half her bases are wrong, half of those bits",
                f"{clicks:.1e} sifted bits, seed {seed}",
            )
        )
    for seed, f in enumerate((0.1, 1.0), 4):
        counts = click(link(LOSS_DB, e_d=0.0, y0=0.0), at_least(3, 100, share), seed=seed, intercept_resend=f)
        clicks, wrong = _sifted(counts)
        rows.append(
            of_share(
                f"intercept-resend of {f:.0%}, at clicks: error rate",
                wrong,
                clicks,
                f / 4,
                "f/4",
                f"{clicks:.1e} sifted bits, seed {seed}",
            )
        )
    parameters = link(LOSS_DB, y0=0.0)
    clicks, wrong = _sifted(total(count(parameters, windows, intercept_resend=0.2)))
    expected = 0.033 * 0.95 + 0.967 * 0.05
    rows.append(
        of_share(
            "intercept-resend of 20% on a link of e_d 3.3%: error rate",
            wrong,
            clicks,
            expected,
            "two independent flips",
            f"{clicks:.1e} sifted bits, seed 1",
        )
    )
    return rows


def splitting(share: float) -> list[Row]:
    """Split photon numbers: signals click as before, decoys do not, and the error rate stays."""
    parameters, windows = link(LOSS_DB, y0=0.0), at_least(20, 1_000, share)
    rows = []
    for seed, s in enumerate((0.3, 1.0), 1):
        counts = total(count(parameters, windows, seed=seed, photon_number_splitting=s))
        sample = f"{counts.pulses:.1e} pulses, seed {seed}"
        signal, weak, _ = parameters.intensities
        split = [cf.split_gain(parameters.eta, parameters.eta_bob, signal, mu) for mu in (signal, weak)]
        free = [cf.gain(parameters.eta, mu, 0.0) for mu in (signal, weak)]
        mean = [s * a + (1 - s) * b for a, b in zip(split, free, strict=True)]
        for k, kind in enumerate(("signal", "weak")):
            hits = counts.n[0][k] + counts.n[1][k]
            row = of_share(
                f"splitting of {s:.0%}: clicks per {kind} pulse in equal bases",
                hits,
                counts.sent[k],
                BOTH_BASES * mean[k],
                "sum over photon numbers",
                sample,
            )
            rows.append(row)
        clicks, wrong = counts.n[0][0] + counts.n[1][0], counts.m[0][0] + counts.m[1][0]
        rows.append(
            of_share(
                f"splitting of {s:.0%}: error rate, unmoved", wrong, clicks, parameters.e_d, "e_d", sample
            )
        )
    return rows


def blinding(share: float) -> list[Row]:
    """Blind the detectors for a share of the time."""
    parameters, windows = link(LOSS_DB), at_least(100, 20_000, share)
    rows = []
    for seed, s in enumerate((0.2, 0.6), 1):
        counts = total(count(parameters, windows, seed=seed, blinding=s))
        sample = f"{counts.pulses:.1e} pulses, seed {seed}"
        vacuum = counts.n[0][2] + counts.n[1][2]
        expected = BOTH_BASES * (1 - s) * parameters.y0
        rows.append(
            of_share(
                f"blinding of {s:.0%}: vacuum yield in equal bases",
                vacuum,
                counts.sent[2],
                expected,
                "(1 - s) Y0",
                sample,
            )
        )
        free = _mean(
            parameters, [cf.gain(parameters.eta, mu, parameters.y0) for mu in parameters.intensities]
        )
        forced = _mean(parameters, [1 - math.exp(-mu) for mu in parameters.intensities])
        forced *= cf.gain(parameters.eta, 0.48, parameters.y0) / (1 - math.exp(-0.48))
        in_z = ((1 - s) * 0.7 * free + s * 0.49 / 0.58 * forced) / ((1 - s) * free + s * forced)
        rows.append(
            of_share(
                f"blinding of {s:.0%}: share of clicks in Z",
                counts.clicks_z,
                counts.detections,
                in_z,
                "Eve's basis and the receiver's: 0.49/0.58",
                sample,
            )
        )
    bright = link(LOSS_DB, y0=0.0)
    for seed, s in enumerate((0.0, 0.5), 3):
        counts = total(count(bright, windows, seed=seed, **({"blinding": s} if s else {})))
        pairs = zip(bright.intensity_probabilities, bright.intensities, strict=True)
        doubles = (1 - s) * sum(
            p * cf.double_clicks(bright.eta, mu, bright.e_d, BOTH_BASES) for p, mu in pairs
        )
        rows.append(
            of_share(
                f"blinding of {s:.0%}: double clicks per pulse",
                counts.double_clicks,
                counts.pulses,
                doubles,
                "(1 - s) times the sum over photon numbers",
                f"{counts.pulses:.1e} pulses, seed {seed}",
            )
        )
    return rows


def tap(share: float) -> list[Row]:
    """Take light out of the fibre."""
    parameters, rows = link(LOSS_DB), []
    for seed, t in enumerate((0.05, 0.5), 1):
        counts = total(count(parameters, at_least(20, 1_000, share), seed=seed, tap=t))
        gain = cf.gain(parameters.eta * (1 - t), parameters.signal_intensity, parameters.y0)
        hits = counts.n[0][0] + counts.n[1][0]
        rows.append(
            of_share(
                f"tap of {t:.0%}: clicks per signal pulse in equal bases",
                hits,
                counts.sent[0],
                BOTH_BASES * gain,
                "eta times (1 - t)",
                f"{counts.pulses:.1e} pulses, seed {seed}",
            )
        )
    return rows


RAMAN_FILTER_NM, RAMAN_SEEN, LAUNCH_DBM = 0.1, 0.045, -10.0
CROSS_SECTION = 2e-9


def raman_link(length_km: float, *, co: bool) -> tuple[LinkParameters, float]:
    """Return a link beside one classical channel, and the clicks per second to expect by quadrature."""
    channel = ClassicalChannel(launch_power_dbm=LAUNCH_DBM, co_propagating=co)
    rate = raman_click_rate_hz([channel], length_km, 0.2, RAMAN_FILTER_NM, RAMAN_SEEN)
    per_km = 0.2 * math.log(10) / 10
    power = cf.raman_power_w(1e-4, length_km, per_km, CROSS_SECTION * RAMAN_FILTER_NM, co=co)
    photon_j = 6.62607015e-34 * 299_792_458 / 1550e-9
    return link(0.2 * length_km, y0=0.0, raman_rate_hz=rate), power / photon_j * RAMAN_SEEN


def raman(share: float) -> list[Row]:
    """Let classical channels scatter into the link: in both directions and at six lengths."""
    rows, windows = [], at_least(5, 100, share)
    seen: dict[tuple[bool, float], Row] = {}
    for co in (True, False):
        for length_km in (5.0, 20.0, 21.715, 23.5, 60.0, 120.0):
            parameters, expected = raman_link(length_km, co=co)
            seed = len(rows) + 1
            counts = total(count(parameters, windows, seed=seed))
            way = "co" if co else "counter"
            hits = counts.n[0][2] + counts.n[1][2]
            row = of_share(
                f"Raman, {way}-propagating, {length_km:g} km: background clicks per vacuum pulse",
                hits,
                counts.sent[2],
                BOTH_BASES * expected / 1e8,
                "integral along the fibre",
                f"{counts.pulses:.1e} pulses, seed {seed}",
            )
            seen[co, length_km] = row
            rows.append(row)
    peak = seen[True, 21.715]
    for length_km in (5.0, 60.0):
        other = seen[True, length_km]
        error = math.hypot(peak.error, other.error)
        rows.append(
            Row(
                f"Raman, co-propagating: clicks at 1/a against {length_km:g} km",
                peak.ours,
                error,
                other.ours,
                "largest at L = 1/a",
                peak.sample,
                ">=",
            )
        )
    flat = seen[False, 120.0]
    ceiling = BOTH_BASES * 1e-4 * CROSS_SECTION * RAMAN_FILTER_NM / (0.4 * math.log(10) / 10)
    ceiling *= RAMAN_SEEN / (6.62607015e-34 * 299_792_458 / 1550e-9) / 1e8
    rows.append(
        Row(
            "Raman, counter-propagating: saturates",
            flat.ours,
            flat.error,
            ceiling,
            "P beta dl/(2a)",
            flat.sample,
        )
    )
    noisy = total(count(link(LOSS_DB, y0=0.0), windows, seed=20, raman=1000.0))
    hits = noisy.n[0][2] + noisy.n[1][2]
    rows.append(
        of_share(
            "Raman injected, 1000 clicks/s: background clicks per vacuum pulse",
            hits,
            noisy.sent[2],
            BOTH_BASES * 1e-5,
            "rate over pulse rate",
            f"{noisy.pulses:.1e} pulses, seed 20",
        )
    )
    return rows


STRENGTHS = (
    ("intercept_resend", "error rate in Z", (0.0019, 0.0021, 0.0026), 30_000),
    ("photon_number_splitting", "share of weak decoys", (0.010, 0.0115, 0.014), 8_000),
    ("blinding", "vacuum yield", (0.16, 0.185, 0.22), 8_000),
    ("tap", "click rate", (0.0017, 0.0019, 0.0023), 8_000),
    ("raman", "vacuum yield", (29.0, 33.0, 40.5), 30_000),
    ("efficiency_mismatch", "clicks of bit 1", (0.0028, 0.0032, 0.0039), 3_000),
    ("time_shift", "clicks off centre", (0.000143, 0.000162, 0.0002), 3_000),
    ("trojan_horse", "light into the transmitter", (2.34e-5, 2.65e-5, 3.27e-5), 3_000),
)
_FIELDS = {
    "intercept_resend": "intercept_resend_share",
    "photon_number_splitting": "splitting_share",
    "blinding": "blinding_share",
    "tap": "tap_share",
    "raman": "raman_rate_hz",
    "efficiency_mismatch": "mismatch_share",
    "time_shift": "time_shift_share",
    "trojan_horse": "trojan_photons",
}


def detection(share: float) -> list[Row]:
    """Watch blocks of a minute under weak attacks: how often does the instrument meant for it alarm?"""
    commissioned = link(LOSS_DB)
    instruments = Instruments(commissioned)
    rows = []
    for attack, instrument, strengths, blocks_of_strongest in STRENGTHS:
        for strength in strengths:
            predicted = power(commissioned, link(LOSS_DB, **{_FIELDS[attack]: strength}), 6e9)[instrument]
            full = blocks_of_strongest if strength == strengths[-1] else blocks_of_strongest // 3
            seed = len(rows) + 1
            blocks = count(commissioned, at_least(200, full, share), seed=seed, **{attack: strength})
            alarms = sum(
                any(found.instrument == instrument for found in instruments.findings(block))
                for block in blocks
            )
            name = (
                f"detection of {attack.replace('_', '-')}, strength {strength:g}: alarms of the {instrument}"
            )
            rows.append(
                of_share(
                    name,
                    alarms,
                    len(blocks),
                    predicted,
                    "predicted power",
                    f"{len(blocks)} blocks of 60 s, seed {seed}",
                )
            )
    return rows
