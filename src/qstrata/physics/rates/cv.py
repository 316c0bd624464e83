"""Gaussian-modulated coherent states (CV-QKD), as planners see them."""

from qstrata.physics import cv_qkd
from qstrata.physics.decoy_bb84 import plob_bound
from qstrata.physics.protocols.cv import CV_QKD as PROTOCOL
from qstrata.physics.protocols.cv import PROFILE, TABLE, CoherentStateParameters
from qstrata.physics.rates.model import FIBRE, Column, Figure, Figures, RateModel, loss_db, profile_figures

_BLOCK = Figure("block_s", "how long a block is collected", "s", 0.001, 86_400.0, 60.0, "as in network files")
_FIGURES = (*FIBRE, _BLOCK, *profile_figures(PROFILE, TABLE))

_COLUMNS = (
    Column("loss", "dB", "loss of the channel"),
    Column("transmittance", "1", "of the channel"),
    Column("noise", "shot noise", "variance of a result about what was sent"),
    Column("snr", "1", "power of what was sent over that noise"),
    Column("common_information", "bit/symbol", "I: what both ends have in common"),
    Column("holevo_bound", "bit/symbol", "chi: what Eve knows of the results at most"),
    Column(
        "secret_fraction",
        "bit/symbol",
        "beta I (at most 1 a quadrature) - chi: key of an undisclosed symbol of a block without end",
    ),
    Column("asymptotic_key", "bit/pulse", "secret key for a block without end, disclosed symbols included"),
    Column("plob_bound", "bit/pulse", "no protocol between two ends exceeds it on this channel"),
    Column("block_key", "bit", "secret key of one block, finite size and security included"),
    Column("key", "bit/pulse", "secret key of such blocks for each symbol"),
    Column("key_rate", "bit/s", "secret key of such blocks for each second"),
)


def _link(figures: Figures, length_km: float) -> CoherentStateParameters:
    own = {field.name: figures[field.name] for field in PROFILE.fields}
    return CoherentStateParameters(loss_db=loss_db(figures, length_km), **own)


def _evaluate(figures: Figures, length_km: float) -> tuple[float, ...]:
    link = _link(figures, length_km)
    law, by = PROTOCOL.law(link), link.receiver
    channel = link.modulation_variance, link.transmittance, link.excess_noise, by
    pulses = link.pulse_rate_hz * figures["block_s"]
    block = PROTOCOL.key_length(PROTOCOL.expected_counts(link, pulses), link).length_bits
    return (
        link.loss_db,
        link.transmittance,
        law.noise,
        law.gain**2 * law.variance / law.noise,
        cv_qkd.mutual_information(*channel),
        cv_qkd.holevo_bound(*channel),
        max(0.0, cv_qkd.devetak_winter(*channel, link.reconciliation_efficiency)),
        PROTOCOL.asymptotic_rate(link),
        plob_bound(link.transmittance),
        float(block),
        block / pulses,
        block / figures["block_s"],
    )


def _check(figures: Figures) -> None:
    """Refuse figures that must be whole numbers and are not."""
    PROTOCOL.check(_link(figures, 0.0))


CV_QKD = RateModel(PROTOCOL.name, PROTOCOL.summary, PROTOCOL.source, _FIGURES, _COLUMNS, _evaluate, _check)
