"""`qstrata rate`: tables, JSON, plots, and what wrong wishes are told."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from qstrata.cli import main
from qstrata.cli.rate import lengths_km
from qstrata.core.errors import InputError


def test_lengths_are_a_range_with_both_ends_or_a_list():
    assert lengths_km("0:50:10") == (0.0, 10.0, 20.0, 30.0, 40.0, 50.0)
    assert lengths_km("0:0.3:0.1") == (0.0, 0.1, 0.2, 0.3)
    assert lengths_km("10,25.5") == (10.0, 25.5)


def test_json_gives_every_figure_and_a_row_for_each_length(capsys):
    assert main(["rate", "decoy-bb84", "--length-km", "0:50:25", "--set", "e-d=0.01", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["figures"]["e_d"] == 0.01
    assert [row["length_km"] for row in answer["rows"]] == [0.0, 25.0, 50.0]
    assert set(answer["rows"][0]) == set(answer["units"])
    # 50 km of 0.2 dB/km, eta_Bob 4.5 %: the transmittance is 0.0045.
    assert answer["rows"][2]["eta"] == pytest.approx(0.0045)


def test_the_table_names_unit_and_source(capsys):
    assert main(["rate", "bbm92", "--length-km", "100"]) == 0
    printed = capsys.readouterr().out
    assert "Ma, Fung, Lo 2007" in printed
    assert "key_rate bit/s" in printed


def test_list_shows_every_figure_of_one_protocol_or_of_all(capsys):
    assert main(["rate", "decoy-bb84", "--list"]) == 0
    one = capsys.readouterr().out
    assert "eps_sec" in one
    assert "bbm92" not in one
    assert main(["rate", "--list", "--json"]) == 0
    pages = json.loads(capsys.readouterr().out)
    assert {"decoy-bb84", "decoy-bb84-one-decoy", "bbm92"} <= {page["protocol"] for page in pages}
    assert all(figure["source"] for page in pages for figure in page["figures"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["b92"], 1, "choose one of"),
        (["bbm92", "--set", "eta_aa=0.1"], 1, "did you mean `eta_a`?"),
        (["bbm92", "--set", "eta_a=2"], 1, "give 0.0001 to 1"),
        (["bbm92", "--set", "eta_a"], 2, "NAME=VALUE"),
        (["bbm92", "--length-km", "0:10"], 2, "FIRST:LAST:STEP"),
        (["bbm92", "--length-km", "10:0:1"], 2, "FIRST:LAST:STEP"),
        (["bbm92", "--length-km", "0:10:0"], 2, "FIRST:LAST:STEP"),
        (["bbm92", "--length-km", "-5"], 1, "0 to 2000 km"),
        (["bbm92", "--length-km", "0:2000:0.001"], 1, "10000 or fewer"),
    ],
)
def test_wrong_wishes_are_told_what_is_right(words, code, said, capsys):
    assert main(["rate", *words]) == code
    assert said in capsys.readouterr().err


def test_lengths_that_are_no_numbers_name_what_is_wanted():
    with pytest.raises(InputError):
        lengths_km("3000")


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib, an extra, is not installed")
def test_a_plot_is_drawn_where_it_is_wanted(tmp_path: Path, capsys):
    picture = tmp_path / "rates.png"
    assert main(["rate", "bbm92", "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["rate", "bbm92", "--plot", str(tmp_path / "rates.nonsense")]) == 1
    assert "cannot draw" in capsys.readouterr().err
