"""Links of BBM92 by a pulsed source of pairs: coincidences, against sums over photon numbers."""

from qstrata.physics.protocols.bbm92 import PROFILE
from truth.devices import count, total
from truth.row import Row, at_least, of_share

Z, ETA, Y0, PAIRS, E_D = 0.7, 0.145, 6.02e-6, 0.05, 0.015
MA = "Ma, Fung, Lo 2007, summed over photon numbers"


def _coincidences(eta_a: float, eta_b: float, e_d: float) -> tuple[float, float]:
    """Return the share of pulses that click at both ends, and their error rate in equal bases.

    A pulse has n pairs with probability (n + 1) l^n/(1 + l)^(n + 2), of which every split m, n - m between
    the polarisations is as probable, the same one at both ends. Double clicks give a random bit.
    """
    mean, gain, alike = PAIRS / 2, 0.0, 0.0
    for n in range(30):
        chance = (n + 1) * mean**n / (1 + mean) ** (n + 2)
        gain += chance * (1 - (1 - Y0) * (1 - eta_a) ** n) * (1 - (1 - Y0) * (1 - eta_b) ** n)
        for m in range(n + 1):
            # Click of one detector alone less that of the other alone.
            lean = [(1 - eta) ** m - (1 - eta) ** (n - m) for eta in (eta_a, eta_b)]
            alike += chance / (n + 1) * lean[0] * lean[1]
    return gain, (1 - (1 - 2 * e_d) * alike / gain) / 2


def coincidences(share: float) -> list[Row]:
    """Count coincidences with the source in the middle, at one end, and between."""
    rows = []
    cases = ((6.0, 0.5, 0.0), (10.0, 0.0, 0.0), (20.0, 0.3, 0.0), (10.0, 0.5, 0.1), (10.0, 0.5, 1.0))
    for seed, (loss_db, position, eve) in enumerate(cases, 51):
        parameters = PROFILE.link_parameters(loss_db, source_position=position)
        faults = {"intercept_resend": eve} if eve else {}
        counts = total(count(parameters, at_least(20, 600, share), seed=seed, **faults))
        etas = (ETA * 10 ** (-loss_db * part / 10) for part in (position, 1 - position))
        gain, wrong = _coincidences(*etas, E_D * (1 - eve / 4) + (1 - E_D) * eve / 4)
        name = f"BBM92 by a pair source, {loss_db:g} dB, source at {position:g}"
        name += f", intercept-resend of {eve:.0%}" if eve else ""
        sample = f"{counts.pulses:.1e} pulses, seed {seed}"
        sifted, errors = (sum(sum(row) for row in table) for table in (counts.n, counts.m))
        rows += [
            of_share(f"{name}: coincidences per pulse", counts.detections, counts.pulses, gain, MA, sample),
            of_share(f"{name}: error rate", errors, sifted, wrong, MA, sample),
            of_share(
                f"{name}: sifted bits per pulse in the key basis",
                sum(counts.n[0]),
                counts.pulses,
                Z * Z * gain,
                "both ends choose",
                sample,
            ),
        ]
    return rows
