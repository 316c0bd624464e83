"""`apply`: the plan as a table and as JSON, what is asked of the network, and how it ends."""

from pathlib import Path

import msgspec
import pytest

from qstrata.cli import main
from qstrata.network.remote import AppliedView, AskApply, Failed
from qstrata.network.starter import starter_text
from qstrata.network.state import state_paths
from qstrata.network.steps import Change, Step
from tests.unit.cli.answers import scripted_network

STEPS = (
    Step("remove", "link", "a-b", (), "key in its pools is destroyed"),
    Step(
        "change", "link", "b-c", (Change("length-km", "10", "12"), Change("profile", "", "fast")), "nothing"
    ),
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "lab.yaml"
    path.write_text(starter_text("lab"), encoding="utf-8")
    return path


def applied(answer, *words: str, code: int = 0, capsys) -> tuple[str, str, list]:
    with scripted_network(state_paths("lab"), answer) as asked:
        assert main(["apply", "lab.yaml", *words]) == code
    said = capsys.readouterr()
    return said.out, said.err, asked


def test_the_plan_is_shown_step_by_step_with_what_changes_and_what_it_disturbs(capsys, file):
    out, err, asked = applied(AppliedView(steps=STEPS), capsys=capsys)
    assert asked == [AskApply(source="lab.yaml", path=str(file))]
    for fact in (
        "remove",
        "a-b",
        "length-km: 10 -> 12; profile: none -> fast",
        "key in its pools is destroyed",
    ):
        assert fact in out
    assert err == "2 steps done, and control has settled; a second plan is empty\n"


def test_a_dry_run_says_that_nothing_was_done(capsys, file):
    out, err, asked = applied(AppliedView(steps=STEPS, dry_run=True), "--dry-run", capsys=capsys)
    assert asked[0].dry_run
    assert "b-c" in out
    assert err == "2 steps, none of them done: apply without --dry-run\n"


def test_an_empty_plan_is_nothing_to_do(capsys, file):
    out, err, _ = applied(AppliedView(steps=()), capsys=capsys)
    assert (out, err) == ("nothing to do: the network runs as the file says\n", "")


def test_json_has_every_field_of_the_answer(capsys, file):
    view = AppliedView(steps=STEPS, dry_run=True)
    out, _, _ = applied(view, "--dry-run", "--json", capsys=capsys)
    assert msgspec.json.decode(out, type=AppliedView) == view


def test_what_has_not_settled_is_named_and_ends_with_1(capsys, file):
    view = AppliedView(steps=STEPS, missing=("link b-c is not up yet: no light",))
    out, err, _ = applied(view, code=1, capsys=capsys)
    assert "a-b" in out
    assert "error[QS-104]" in err
    assert "link b-c is not up yet: no light" in err


def test_a_refusal_of_the_network_ends_with_its_code(capsys, file):
    failed = Failed(text="the seed of a network that runs cannot change", code=1, error="QS-101")
    out, err, _ = applied(failed, code=1, capsys=capsys)
    assert out == ""
    assert "error[QS-101]: the seed" in err


def test_a_wrong_file_is_told_at_its_place_before_anything_is_asked(capsys, file):
    file.write_text(starter_text("lab").replace("length-km: ", "length-km: -"), encoding="utf-8")
    out, err, asked = applied(AppliedView(steps=()), code=1, capsys=capsys)
    assert (out, asked) == ("", [])
    assert "lab.yaml:" in err
    assert "error[QS-102]" in err
