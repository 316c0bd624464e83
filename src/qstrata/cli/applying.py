"""`apply`: change a running network by the difference to a file, and show the plan."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from qstrata.cli.arguments import Json, StateDir
from qstrata.cli.endings import CheckFailedError, talk
from qstrata.cli.places import Place, ask, place_of
from qstrata.cli.tables import Table, out, show, show_json
from qstrata.network.remote import AppliedView, AskApply
from qstrata.network.state import state_paths
from qstrata.network.steps import Change, Step


def apply(
    source: Annotated[str, Parameter(help="A network file that says what the network is to be.")],
    /,
    *,
    dry_run: Annotated[bool, Parameter(help="Show the plan, and change nothing.")] = False,
    without: Annotated[
        tuple[str, ...],
        Parameter(
            help="Choose no path of a circuit over this link, which stays; applied again without this, "
            "circuits go back. May be given again."
        ),
    ] = (),
    json: Json = False,
    state_dir: StateDir = None,
) -> None:
    """Change a running network by the difference to a file, and show the plan: nothing else is disturbed."""
    path = Path(source)
    named = path.name == source and path.suffix not in (".yaml", ".yml")
    file = "" if named and not path.is_file() else str(path.absolute())
    request = AskApply(source=source, path=file, dry_run=dry_run, without=without)
    view = ask(_place(source, state_dir), request, AppliedView)
    if json:
        show_json(view)
    else:
        _show(view)
    if view.missing or view.left:
        left = (*view.missing, *(f"{step.action} {step.kind} {step.object}" for step in view.left))
        raise CheckFailedError(
            f"the plan was applied, and this is not so yet: {'; '.join(left)}; `qstrata inspect` shows why"
        )


def _place(source: str, state_dir: Path | None) -> Place:
    """Return the network that a file means, by the name in it."""
    if state_dir is not None:
        return place_of(None, state_dir)
    from qstrata.network.loader import load

    name = load(source, unrouted=True).name
    return Place(name, state_paths(name))


def _show(view: AppliedView) -> None:
    if not view.steps:
        out("nothing to do: the network runs as the file says")
        return
    rows = tuple(_row(step) for step in view.steps)
    show([Table("plan", ("do", "what", "name", "changes", "disturbs"), rows)])
    count = f"{len(rows)} step{'s' if len(rows) > 1 else ''}"
    if view.dry_run:
        talk(f"{count}, none of them done: apply without --dry-run")
    elif not view.missing and not view.left:
        talk(f"{count} done, and control has settled; a second plan is empty")


def _row(step: Step) -> tuple[str, ...]:
    changes = "; ".join(map(_change, step.changes))
    return (step.action, step.kind, step.object, changes, step.disturbs)


def _change(change: Change) -> str:
    return f"{change.key}: {change.old or 'none'} -> {change.new or 'none'}"
