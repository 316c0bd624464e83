"""Decoy-state BB84 with two decoys and with one, as planners see it."""

from functools import partial

from msgspec.structs import replace

from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.counts import expected_counts
from qstrata.physics.fibre import transmittance
from qstrata.physics.finite_key import asymptotic_length_rate, key_length_bits
from qstrata.physics.parameters import PARAMETERS, LinkParameters, check_parameters
from qstrata.physics.profiles import profile
from qstrata.physics.rates.model import FIBRE, Column, Figure, Figures, RateModel, loss_db, profile_figures

_ONE_DECOY = {
    "signal_probability": 0.7,
    "weak_probability": 0.3,
    "vacuum_probability": 0.0,
    "weak_intensity": 0.15,
}
_OURS = "chosen by qstrata: near the longest key of a 60 s block at 10 dB"

BLOCK_S = "block_s"
_BLOCK = Figure(
    BLOCK_S,
    "how long a block is collected before it is distilled",
    "s",
    0.001,
    86_400.0,
    60.0,
    "as in network files",
)

COLUMNS = (
    Column("loss", "dB", "loss of the channel"),
    Column("eta", "1", "transmittance from the sender to a click"),
    Column("gain_signal", "1/pulse", "clicks for a signal pulse"),
    Column("gain_weak", "1/pulse", "clicks for a weak decoy pulse"),
    Column("qber", "1", "error rate of the sifted signal clicks"),
    Column("single_photon_yield", "1", "Y_1: clicks for a pulse of exactly one photon"),
    Column("single_photon_error", "1", "e_1: error rate of those"),
    Column("asymptotic_key", "bit/pulse", "secret key for a block without end"),
    Column("plob_bound", "bit/pulse", "no protocol between two ends exceeds it on this channel"),
    Column("block_key", "bit", "secret key of one block, finite size and security included"),
    Column("key", "bit/pulse", "secret key of such blocks for each pulse"),
    Column("key_rate", "bit/s", "secret key of such blocks for each second"),
)


def _figures(**replaced: float) -> tuple[Figure, ...]:
    of_link = (
        replace(figure, default=replaced[figure.name], source=_OURS) if figure.name in replaced else figure
        for figure in profile_figures(profile(), PARAMETERS)
    )
    return (*FIBRE, _BLOCK, *of_link)


def link_parameters(figures: Figures, length_km: float) -> LinkParameters:
    """Return the link of a fibre of that length."""
    own = {field.name: figures[field.name] for field in profile().fields}
    return LinkParameters(loss_db=loss_db(figures, length_km), **own)


def _check(figures: Figures) -> None:
    check_parameters(link_parameters(figures, 0.0))


def _evaluate(figures: Figures, length_km: float) -> tuple[float, ...]:
    link = link_parameters(figures, length_km)
    eta, mu, nu = link.eta, link.signal_intensity, link.weak_intensity
    pulses = link.pulse_rate_hz * figures[BLOCK_S]
    block = key_length_bits(expected_counts(link, pulses), link).length_bits
    return (
        link.loss_db,
        eta,
        bb84.gain(eta, mu, link.y0),
        bb84.gain(eta, nu, link.y0),
        bb84.qber(eta, mu, link.y0, link.e_d),
        bb84.single_photon_yield(eta, link.y0),
        bb84.single_photon_error(eta, link.y0, link.e_d),
        asymptotic_length_rate(link),
        bb84.plob_bound(transmittance(link.loss_db)),
        float(block),
        block / pulses,
        block / figures[BLOCK_S],
    )


_model = partial(RateModel, columns=COLUMNS, evaluate=_evaluate, check=_check)

DECOY_BB84 = _model(
    "decoy-bb84",
    "Decoy-state BB84 over fibre with a weak and a vacuum decoy",
    "Ma et al. 2005 (model of the channel), Lim et al. 2014 (bounds)",
    figures=_figures(),
)

ONE_DECOY_BB84 = _model(
    "decoy-bb84-one-decoy",
    "Decoy-state BB84 over fibre with a weak decoy alone",
    "Ma et al. 2005 (model of the channel), Rusca et al. 2018 (bounds)",
    figures=_figures(**_ONE_DECOY),
)
