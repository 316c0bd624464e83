"""`qstrata scenario`: play what is done to a network in virtual time, and judge what came of it."""

import math
import time
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import msgspec
from cyclopts import App, Parameter

from qstrata.cli.arguments import Json, Seed
from qstrata.cli.durations import spoken
from qstrata.cli.endings import CheckFailedError, talk
from qstrata.cli.tables import Table, show, show_json
from qstrata.cli.virtual_run import findings_tables, progress
from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.scenarios.play import Outcome, Played, Series, play
from qstrata.network.scenarios.script import load_scenario, time_ps
from qstrata.network.scenarios.shipped import shipped_scenarios

Given = Annotated[
    str, Parameter(help="A scenario file, or the name of a shipped scenario (`scenario list`).")
]

_LATE_SHARE = 0.75
"""What is done so late in a run is written to the left of its line: there is room."""

scenario = App(name="scenario", help="Play scenarios in virtual time: at, do, expect.")


class ScenarioPage(msgspec.Struct, frozen=True):
    """A shipped scenario."""

    name: str
    about: str
    network: str
    lasts: str
    steps: int


@scenario.command
def run(
    given: Given,
    /,
    *,
    seed: Seed = None,
    junit: Annotated[Path | None, Parameter(help="Write the outcome as JUnit XML into this file.")] = None,
    plot: Annotated[
        Path | None, Parameter(help="Draw the watched figures into this file: PNG, SVG or PDF by its name.")
    ] = None,
    json: Json = False,
) -> None:
    """Play a scenario; exit code 1 if something expected did not come."""
    loaded = load_scenario(given)
    begun = time.perf_counter()
    with progress(loaded.scenario.name, time_ps(loaded.scenario.lasts)) as told:
        played = play(loaded, seed, told)
    wall_s = time.perf_counter() - begun
    if junit is not None:
        _write(junit, _junit(played, wall_s))
    if plot is not None:
        draw(played, plot)
    if json:
        show_json(played)
    else:
        _show(played, wall_s)
    if not played.holds:
        failed = sum(not outcome.holds for outcome in played.outcomes)
        raise CheckFailedError(f"scenario {played.scenario}: {failed} of what was expected did not come")


@scenario.command(name="list")
def list_(*, json: Json = False) -> None:
    """List the scenarios that come with the package."""
    scenarios = [load_scenario(name).scenario for name in shipped_scenarios()]
    pages = [
        ScenarioPage(each.name, each.about, each.network, each.lasts, len(each.steps)) for each in scenarios
    ]
    if json:
        show_json(pages)
    else:
        rows = tuple((page.name, page.lasts, str(page.steps), page.about) for page in pages)
        show([Table("scenarios", ("name", "lasts", "steps>", "about"), rows)])


def _show(played: Played, wall_s: float) -> None:
    rows = tuple(
        (f"{each.at_s:.1f}", "ok" if each.holds else "FAILED", each.text, each.found)
        for each in played.outcomes
    )
    title = f"scenario {played.scenario}: {played.about}"
    steps = Table(title, ("at s>", "", "step", "found"), rows)
    show([steps, *findings_tables(played.report.findings)])
    talk(f"{spoken(played.report.virtual_s)} of network time in {spoken(wall_s)}, seed {played.seed}")


def _junit(played: Played, wall_s: float) -> bytes:
    expected = [each for each in played.outcomes if each.text.startswith("expect ")]
    suite = ElementTree.Element(
        "testsuite",
        name=played.scenario,
        tests=str(len(expected)),
        failures=str(sum(not each.holds for each in expected)),
        errors="0",
        time=f"{wall_s:.3f}",
    )
    for each in expected:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"scenario.{played.scenario}", name=f"{each.step}: {each.text}"
        )
        if not each.holds:
            _fail(case, each)
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document


def _fail(case: ElementTree.Element, outcome: Outcome) -> None:
    failure = ElementTree.SubElement(case, "failure", message=f"found {outcome.found}")
    failure.text = f"at {outcome.at_s:.1f} s: {outcome.text}: found {outcome.found}"


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from None


def draw(played: Played, file: Path) -> None:
    """Draw every watched figure over time, one panel for each figure, the steps as lines."""
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        raise EnvironmentFaultError(
            "plots need matplotlib, which is not installed: pip install matplotlib"
        ) from None
    panels: dict[str, list[Series]] = {}
    for series in played.series:
        panels.setdefault(series.figure, []).append(series)
    if not panels:
        raise InputError(f"scenario {played.scenario} watches nothing to draw: give it `watch`")
    canvas = Canvas(figsize=(9, 2.6 * len(panels)), layout="constrained")
    deeds = [each for each in played.outcomes if not each.text.startswith("expect ")]
    axes = None
    for place, (figure, all_series) in enumerate(panels.items(), 1):
        axes = canvas.add_subplot(len(panels), 1, place, sharex=axes)
        for series in all_series:
            values = [math.nan if value is None else value for value in series.values]
            axes.plot(series.times_s, values, label=series.subject or None)
        for deed in deeds:
            axes.axvline(deed.at_s, color="grey", linestyle=":", linewidth=1)
            if place == 1:
                is_late = deed.at_s > _LATE_SHARE * max(all_series[0].times_s, default=0.0)
                axes.annotate(
                    deed.text,
                    (deed.at_s, 1.02),
                    xycoords=("data", "axes fraction"),
                    fontsize=6,
                    rotation=-15 if is_late else 15,
                    horizontalalignment="right" if is_late else "left",
                )
        axes.set(xlabel="network time (s)", ylabel=figure)
        axes.grid(visible=True, alpha=0.3)
        if any(series.subject for series in all_series):
            axes.legend(fontsize=8)
    canvas.suptitle(f"{played.scenario}: {played.about}", fontsize=10)
    try:
        canvas.savefig(file)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot draw into {file}: {error}") from None
