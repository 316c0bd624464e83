"""What both ends of a link with Gaussian-modulated coherent states measure: sums of squares and products.

A symbol carries one or two quadratures that are compared; powers are in units of shot noise. Some symbols are
disclosed: of those the ends know x, what was sent, and y, what was measured; the others make key. For jointly
normal x and y without mean, the sums of x^2, x y and y^2 and how many there are hold all that can be known of
the channel, and the sums of two stretches add up.
"""

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

PER_SHOT_NOISE = 1000
"""Sums are whole thousandths of shot noise, so that they add up exactly."""


class Quadratures(msgspec.Struct, frozen=True, tag=True):
    """Hold what both ends know of some symbols; sums are in thousandths of shot noise.

    `symbols` sent and measured, `key_values` quadratures kept for the key, `tested_values` disclosed; of
    those `sent_squares`, `products` and `measured_squares` are the sums of x^2, x y and y^2.
    """

    symbols: int = 0
    key_values: int = 0
    tested_values: int = 0
    sent_squares: int = 0
    products: int = 0
    measured_squares: int = 0

    @property
    def pulses(self) -> int:
        """Pulses sent: symbols."""
        return self.symbols

    @property
    def detections(self) -> int:
        """Pulses measured: coherent detection measures all of them."""
        return self.symbols


class ExpectedQuadratures(msgspec.Struct, frozen=True):
    """Hold the mean of `Quadratures`, same fields, not rounded."""

    symbols: float
    key_values: float
    tested_values: float
    sent_squares: float
    products: float
    measured_squares: float

    @property
    def pulses(self) -> float:
        """Pulses sent: symbols."""
        return self.symbols


NO_QUADRATURES = Quadratures()


class GaussianLaw(NamedTuple):
    """How disclosed quadratures are distributed: y = gain x + z, x and z normal without mean.

    `quadratures` of a symbol are compared (1 or 2), a symbol is disclosed with probability `test_share`;
    `variance` of x and `noise` of z are in units of shot noise.
    """

    quadratures: int
    test_share: float
    variance: float
    gain: float
    noise: float


class Estimate(NamedTuple):
    """The most likely gain and noise, and the standard error of the gain."""

    gain: float
    noise: float
    gain_error: float


def joined(a: Quadratures, b: Quadratures) -> Quadratures:
    """Add the sums of two stretches of symbols."""
    pairs = zip(msgspec.structs.astuple(a), msgspec.structs.astuple(b), strict=True)
    return Quadratures(*(left + right for left, right in pairs))


def mean_quadratures(law: GaussianLaw, symbols: float) -> ExpectedQuadratures:
    """Return the mean sums of `symbols` >= 0 symbols."""
    tested = law.quadratures * law.test_share * symbols
    squares = PER_SHOT_NOISE * tested * law.variance
    return ExpectedQuadratures(
        symbols=symbols,
        key_values=law.quadratures * symbols - tested,
        tested_values=tested,
        sent_squares=squares,
        products=law.gain * squares,
        measured_squares=law.gain**2 * squares + PER_SHOT_NOISE * tested * law.noise,
    )


def estimate(quadratures: Quadratures | ExpectedQuadratures) -> Estimate | None:
    """Estimate gain and noise by maximum likelihood (Leverrier et al. 2010, section IV); None of too few."""
    values, squares = quadratures.tested_values, quadratures.sent_squares / PER_SHOT_NOISE
    if values < 2 or squares <= 0.0:
        return None
    gain = quadratures.products / quadratures.sent_squares
    measured = quadratures.measured_squares / PER_SHOT_NOISE
    noise = max(0.0, (measured - gain**2 * squares) / values)
    return Estimate(gain, noise, (noise / squares) ** 0.5)


def draw_quadratures(
    generator: "np.random.Generator", law: GaussianLaw, symbols: "Sequence[int]"
) -> list[Quadratures]:
    """Draw the sums of each stretch of symbols from their exact joint distribution.

    For k values: sum x^2 is V chi^2_k, the estimated gain is normal given that sum, and what is left of
    sum y^2 is noise times chi^2_(k-1), independent of both (W. G. Cochran 1934).
    """
    import numpy as np

    sent = np.asarray(symbols, dtype=np.int64)
    values = law.quadratures * generator.binomial(sent, law.test_share)
    there = values > 0
    squares = np.where(there, law.variance * generator.chisquare(np.maximum(values, 1)), 1.0)
    gains = law.gain + np.sqrt(law.noise / squares) * generator.standard_normal(len(sent))
    left = law.noise * np.where(values > 1, generator.chisquare(np.maximum(values - 1, 1)), 0.0)
    sums = np.stack([squares, gains * squares, gains**2 * squares + left], axis=1) * there[:, None]
    rows = np.column_stack(
        (
            sent,
            law.quadratures * sent - values,
            values,
            np.rint(sums * PER_SHOT_NOISE).astype(np.int64),
        )
    )
    return [Quadratures(*row) for row in rows.tolist()]
