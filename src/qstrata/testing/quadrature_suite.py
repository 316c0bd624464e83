"""What the suite of key protocols checks of those whose ends compare quadratures."""

import math
from collections.abc import Iterator

from qstrata.core.randomness import stream
from qstrata.physics.protocols.gaussian import P, QuadratureProtocol
from qstrata.physics.quadratures import (
    PER_SHOT_NOISE,
    ExpectedQuadratures,
    GaussianLaw,
    Quadratures,
    draw_quadratures,
)


def check_law(protocol: QuadratureProtocol[P], link: P) -> None:
    """Check that a link's law is one of physics; AssertionError says what is not."""
    law = protocol.law(link)
    assert law == protocol.law(link), f"{protocol.name}: equal parameters give another law"
    assert law.quadratures in (1, 2), f"{protocol.name}: a symbol has 1 or 2 quadratures"
    assert 0.0 < law.test_share < 1.0, f"{protocol.name}: nothing is disclosed, or all is"
    assert law.variance > 0.0 <= law.gain, f"{protocol.name}: a variance or a gain is negative"
    assert law.noise >= 1.0, f"{protocol.name}: there is less noise than that of the vacuum"
    if math.isinf(link.loss_db):
        assert law.gain == 0.0, f"{protocol.name}: something arrives without light"


def check_sums(protocol: QuadratureProtocol[P], link: P, symbols: int, draws: int, errors: float) -> None:
    """Check that drawn sums agree with the expected ones within so many standard errors."""
    law = protocol.law(link)
    mean = protocol.expected_counts(link, float(symbols))
    for drawn in draw_quadratures(stream(1, protocol.name), law, [symbols] * draws):
        assert drawn.pulses == symbols, f"{protocol.name}: symbols are lost"
        for name, seen, expected, spread in _figures(law, drawn, mean):
            assert abs(seen - expected) <= errors * spread, (
                f"{protocol.name}: {name} of {seen:.6g} were drawn, {expected:.6g} are expected: "
                f"more than {errors:g} standard errors off"
            )


def _figures(
    law: GaussianLaw, drawn: Quadratures, mean: ExpectedQuadratures
) -> Iterator[tuple[str, float, float, float]]:
    values = float(drawn.tested_values)
    kept = law.quadratures * math.sqrt(mean.symbols * law.test_share * (1.0 - law.test_share))
    yield "disclosed values", values, mean.tested_values, max(1.0, kept)
    share = values / mean.tested_values
    power = law.gain**2 * law.variance + law.noise
    of_products = math.sqrt(values * (law.gain**2 * law.variance**2 * 2.0 + law.variance * law.noise))
    sums = (
        ("squares sent", drawn.sent_squares, mean.sent_squares, law.variance * math.sqrt(2.0 * values)),
        ("products", drawn.products, mean.products, of_products),
        ("squares measured", drawn.measured_squares, mean.measured_squares, power * math.sqrt(2.0 * values)),
    )
    for name, seen, expected, spread in sums:
        yield name, seen, expected * share, spread * PER_SHOT_NOISE
