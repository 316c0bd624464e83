"""The plots of the report: runs as points, closed forms as lines."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from qstrata.physics.memories import MemoryParameters
from qstrata.physics.monitors import Instruments, power
from truth import closed_forms as cf
from truth import pairs
from truth.attacks import BOTH_BASES, LOSS_DB, raman_link
from truth.cells import NEAR, fidelity, scene
from truth.devices import count, link, total
from truth.exact import chain_fidelity
from truth.report import PLOTS, finite, normal_quantiles
from truth.row import LIMIT, Row, at_least

SETTINGS: Any = {"svg.hashsalt": "qstrata", "svg.fonttype": "none", "font.size": 9}
"""The same picture is the same file."""


def draw(folder: Path, rows: Sequence[Row], share: float) -> None:
    """Write all plots into a folder."""
    drawn: tuple[Callable[[Any, Any], None], ...] = (
        partial(_residuals, rows),
        partial(_bb84, share),
        partial(_pairs, share),
        partial(_attacks, share),
    )
    with mpl.rc_context(SETTINGS):
        for (name, _), plot in zip(PLOTS, drawn, strict=True):
            figure = Figure(figsize=(8.0, 3.2), layout="constrained")
            plot(*figure.subplots(1, 2))
            figure.savefig(folder / name, metadata={"Date": None})


def _residuals(rows: Sequence[Row], left: Any, right: Any) -> None:
    found = finite(rows)
    left.plot(normal_quantiles(len(found)), found, ".", label="rows")
    left.plot([-3, 3], [-3, 3], "-", lw=1, label="pure chance")
    left.set(
        xlabel="residual of pure chance, standard errors",
        ylabel="residual, standard errors",
        ylim=(-LIMIT, LIMIT),
    )
    left.legend()
    shown = sorted(100 * row.visible for row in rows if row.relation == "=" and row.error and row.expected)
    right.semilogy(range(1, len(shown) + 1), np.maximum(shown, 1e-5), ".")
    right.axhline(1.0, lw=1, color="k")
    right.set(xlabel="rows, sorted", ylabel="error that would show, %")


def _bb84(share: float, left: Any, right: Any) -> None:
    lengths = np.linspace(0, 200, 101)
    for kind, name in enumerate(("signal", "weak", "vacuum")):
        points = []
        for length_km in range(0, 201, 20):
            parameters = link(0.21 * length_km)
            counts = total(count(parameters, at_least(5, 500, share), seed=length_km + 1))
            clicks, wrong = (pair[0][kind] + pair[1][kind] for pair in (counts.n, counts.m))
            points.append((length_km, clicks / counts.sent[kind] / BOTH_BASES, wrong / max(1, clicks)))
        mu = link().intensities[kind]
        etas = 0.045 * 10 ** (-0.021 * lengths)
        for axes, column, formula in (
            (left, 1, [cf.gain(eta, mu, 1.7e-6) for eta in etas]),
            (right, 2, [cf.qber(eta, mu, 1.7e-6, 0.033) for eta in etas]),
        ):
            (line,) = axes.plot(lengths, formula, lw=1)
            axes.plot(
                [p[0] for p in points],
                [p[column] for p in points],
                "o",
                ms=4,
                color=line.get_color(),
                label=name,
            )
    left.set(yscale="log", xlabel="km", ylabel="clicks per pulse")
    right.set(xlabel="km", ylabel="error rate")
    left.legend()


def _pairs(share: float, left: Any, right: Any) -> None:
    waits_s = np.linspace(0.2e-3, 20e-3, 60)
    w = cf.werner(0.95)
    cases = (
        (
            "depolarising, 20 ms",
            MemoryParameters(depolarising_s=20e-3),
            lambda t: 0.25 + 0.7 * np.exp(-2 * t / 20e-3),
        ),
        (
            "dephasing, 10 ms",
            MemoryParameters(t2_s=10e-3),
            lambda t: (1 + w) / 4 + w / 2 * np.exp(-2 * t / 10e-3),
        ),
        (
            "T1 15 ms, T2 10 ms",
            MemoryParameters(t1_s=15e-3, t2_s=10e-3),
            lambda t: np.array([cf.damped(0.95, one, 15e-3, 10e-3, -1) for one in t]),
        ),
    )
    for name, stored, formula in cases:
        (line,) = left.plot(1e3 * waits_s, formula(waits_s), lw=1)
        for wait_s in (0.5e-3, 2e-3, 5e-3, 10e-3, 20e-3):
            world = scene(link=NEAR | {"fidelity": 0.95}, memory=stored)
            found, error = fidelity(partial(pairs.waited, world, wait_s, 1), at_least(200, 2_000, share))
            left.errorbar(
                1e3 * wait_s,
                found,
                error,
                fmt="o",
                ms=4,
                color=line.get_color(),
                label=name if wait_s == 2e-3 else None,
            )
    left.set(xlabel="wait, ms", ylabel="fidelity")
    left.legend()
    nodes = range(2, 10)
    for each in (0.98, 0.95):
        (line,) = right.plot(nodes, [cf.chain(each, n - 1) for n in nodes], lw=1)
        right.plot(
            nodes,
            [chain_fidelity("abcdefghi"[:n], each) for n in nodes],
            "o",
            ms=4,
            color=line.get_color(),
            label=f"links of {each:g}",
        )
    right.set(xlabel="nodes", ylabel="fidelity after all swaps")
    right.legend()


def _attacks(share: float, left: Any, right: Any) -> None:
    commissioned = link(LOSS_DB)
    instruments = Instruments(commissioned)
    strengths = np.linspace(0.001, 0.0032, 45)
    predicted = [
        power(commissioned, link(LOSS_DB, intercept_resend_share=float(s)), 6e9)["error rate in Z"]
        for s in strengths
    ]
    left.plot(100 * strengths, predicted, lw=1, label="predicted")
    for seed, strength in enumerate(strengths[::8], 1):
        blocks = count(commissioned, at_least(100, 1_000, share), seed=seed, intercept_resend=float(strength))
        alarms = [
            any(found.instrument == "error rate in Z" for found in instruments.findings(block))
            for block in blocks
        ]
        left.plot(
            100 * strength,
            np.mean(alarms),
            "o",
            ms=4,
            color="C1",
            label="blocks with an alarm" if seed == 1 else None,
        )
    left.set(xlabel="pulses intercepted, %", ylabel="blocks of 60 s with an alarm")
    left.legend()
    lengths = np.linspace(1, 120, 60)
    for co, name in ((True, "co-propagating"), (False, "counter-propagating")):
        (line,) = right.plot(lengths, [raman_link(length, co=co)[1] for length in lengths], lw=1)
        for length_km in (5.0, 15.0, 30.0, 60.0, 100.0):
            counts = total(count(raman_link(length_km, co=co)[0], 5, seed=round(length_km)))
            rate = (counts.n[0][2] + counts.n[1][2]) / counts.sent[2] / BOTH_BASES * 1e8
            right.plot(
                length_km, rate, "o", ms=4, color=line.get_color(), label=name if length_km == 5.0 else None
            )
    right.set(xlabel="km", ylabel="Raman clicks per s")
    right.legend()
