"""BBM92 with a pair source anywhere between the two ends, as planners see it."""

from qstrata.physics.decoy_bb84 import plob_bound
from qstrata.physics.fibre import transmittance
from qstrata.physics.protocols.bbm92 import BBM92 as PROTOCOL
from qstrata.physics.protocols.bbm92 import PROFILE, TABLE, PairSourceParameters
from qstrata.physics.rates.model import FIBRE, Column, Figure, Figures, RateModel, loss_db, profile_figures

_BLOCK = Figure("block_s", "how long a block is collected", "s", 0.001, 86_400.0, 600.0, "chosen by qstrata")
_FIGURES = (*FIBRE, _BLOCK, *profile_figures(PROFILE, TABLE))

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
    own = {field.name: figures[field.name] for field in PROFILE.fields}
    link = PairSourceParameters(loss_db=loss, **own)
    gain, qber = link.coincidences
    pulses = figures["pulse_rate_hz"] * figures["block_s"]
    block = PROTOCOL.key_length(PROTOCOL.expected_counts(link, pulses), link).length_bits
    return (
        loss,
        *link.etas,
        gain,
        qber,
        PROTOCOL.asymptotic_rate(link),
        plob_bound(transmittance(loss)),
        float(block),
        block / pulses,
        block / figures["block_s"],
    )


def _check(figures: Figures) -> None:
    """Accept all figures that are in their ranges: none contradict each other."""


BBM92 = RateModel(
    PROTOCOL.name,
    PROTOCOL.summary,
    PROTOCOL.source,
    _FIGURES,
    _COLUMNS,
    _evaluate,
    _check,
)
