"""BBM92 with a pair source anywhere between the two ends, as planners see it."""

from qstrata.physics import bbm92
from qstrata.physics.decoy_bb84 import binary_entropy, plob_bound
from qstrata.physics.fibre import transmittance
from qstrata.physics.rates.model import FIBRE, Column, Figure, Figures, RateModel, loss_db

_MA = "X. Ma, C.-H. F. Fung, H.-K. Lo, Phys. Rev. A 76, 012307 (2007), table I"
_OURS = "chosen by qstrata"

_FIGURES = (
    *FIBRE,
    Figure("block_s", "how long a block is collected", "s", 0.001, 86_400.0, 600.0, _OURS),
    Figure("pulse_rate_hz", "pump pulses per second", "Hz", 1.0, 1e11, 100e6, _OURS),
    Figure(
        "pairs_per_pulse", "mean number of photon pairs of a pulse", "pairs/pulse", 1e-6, 2.0, 0.05, _OURS
    ),
    Figure(
        "source_position", "where the source is: 0 at one end, 1/2 in the middle", "1", 0.0, 1.0, 0.5, _OURS
    ),
    Figure("eta_a", "efficiency of the first receiver, optics times detector", "1", 1e-4, 1.0, 0.145, _MA),
    Figure("eta_b", "efficiency of the second receiver", "1", 1e-4, 1.0, 0.145, _MA),
    Figure("y0_a", "background clicks per pulse of the first receiver", "1/pulse", 0.0, 0.01, 6.02e-6, _MA),
    Figure("y0_b", "background clicks per pulse of the second receiver", "1/pulse", 0.0, 0.01, 6.02e-6, _MA),
    Figure("e_d", "probability that a detected pair gives unequal bits", "1", 0.0, 0.5, 0.015, _MA),
    Figure("z_probability", "how often either end takes the key basis", "1", 0.01, 0.99, 0.7, _OURS),
    Figure(
        "error_correction_efficiency", "leaked bits per bit of the Shannon limit", "1", 1.0, 3.0, 1.22, _MA
    ),
    Figure("eps_sec", "secrecy failure probability of a block", "1", 1e-30, 0.01, 1e-10, _OURS),
    Figure("eps_cor", "probability that the two keys of a block differ", "1", 1e-30, 0.01, 1e-15, _OURS),
)

_COLUMNS = (
    Column("loss", "dB", "loss of the whole channel"),
    Column("eta_a", "1", "from the source to a click at the first end"),
    Column("eta_b", "1", "from the source to a click at the second end"),
    Column("gain", "1/pulse", "coincidences"),
    Column("qber", "1", "their error rate in equal bases"),
    Column("asymptotic_key", "bit/pulse", "secret key for a block without end"),
    Column("plob_bound", "bit/pulse", "no protocol between two ends exceeds it without a repeater"),
    Column("block_key", "bit", "secret key of one block, finite size and security included"),
    Column("key", "bit/pulse", "secret key of such blocks for each pulse"),
    Column("key_rate", "bit/s", "secret key of such blocks for each second"),
)


def _evaluate(figures: Figures, length_km: float) -> tuple[float, ...]:
    loss = loss_db(figures, length_km)
    position = figures["source_position"]
    eta_a = figures["eta_a"] * transmittance(loss * position)
    eta_b = figures["eta_b"] * transmittance(loss * (1.0 - position))
    source = (eta_a, eta_b, figures["pairs_per_pulse"], figures["y0_a"], figures["y0_b"])
    gain = bbm92.coincidence_gain(*source)
    qber = bbm92.coincidence_qber(*source, figures["e_d"])
    f, z = figures["error_correction_efficiency"], figures["z_probability"]
    pulses = figures["pulse_rate_hz"] * figures["block_s"]
    key_bits, test_bits = pulses * gain * z**2, pulses * gain * (1.0 - z) ** 2
    leakage = f * key_bits * binary_entropy(qber)
    block = bbm92.key_length_bits(key_bits, test_bits, qber, leakage, figures["eps_sec"], figures["eps_cor"])
    return (
        loss,
        eta_a,
        eta_b,
        gain,
        qber,
        bbm92.asymptotic_rate(gain, qber, z**2, f),
        plob_bound(transmittance(loss)),
        float(block),
        block / pulses,
        block / figures["block_s"],
    )


def _check(figures: Figures) -> None:
    """Accept all figures that are in their ranges: none contradict each other."""


BBM92 = RateModel(
    "bbm92",
    "BBM92 with a pulsed source of entangled photon pairs between the two ends",
    "Ma, Fung, Lo 2007 (model of the source), Tomamichel et al. 2012 (finite size)",
    _FIGURES,
    _COLUMNS,
    _evaluate,
    _check,
)
