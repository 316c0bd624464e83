"""`pki`: what there is, made anew, and handed on."""

import json
import time
from pathlib import Path

import pytest

from qstrata.cli import main
from qstrata.network.certificates import Certificates, folder_of, keep, recalled
from qstrata.network.pki import KmeIdentity, PkiPaths, ensure_pki
from qstrata.network.state import prepare, state_paths


@pytest.fixture
def made(state_home: Path) -> PkiPaths:
    paths = state_paths("madrid")
    prepare(paths)
    kmes = (KmeIdentity("a", "urn:qkd:lab:kme:a"),)
    return ensure_pki(paths.pki, "lab", kmes, ("urn:qkd:lab:a:sae",), int(time.time()))


def test_certificates_are_shown_also_while_the_network_is_down(capsys, made):
    assert main(["pki", "show"]) == 0
    printed = capsys.readouterr().out
    for fact in (
        "CN=qstrata demo CA of lab",
        "urn:qkd:lab:kme:a",
        "client",
        "valid",
        str(made.kmes[0].certificate),
    ):
        assert fact in printed
    assert main(["pki", "show", "madrid", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["purpose"] for row in rows] == ["CA", "server", "client"]


def test_certificates_of_a_folder_of_ones_own_are_shown(capsys, made, tmp_path):
    assert main(["pki", "show", "--cert-dir", str(made.ca.certificate.parent), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert main(["pki", "show", "--cert-dir", str(tmp_path)]) == 3


def test_renewal_makes_new_files_and_names_them(capsys, made):
    before = made.saes[0].certificate.read_bytes()
    assert main(["pki", "renew"]) == 0
    said = capsys.readouterr()
    assert str(made.saes[0].certificate) in said.out
    assert said.err == ""
    assert made.saes[0].certificate.read_bytes() != before


def test_certificates_of_the_last_up_are_shown_until_the_demo_cas_are_taken_again(capsys, made, tmp_path):
    paths = state_paths("madrid")
    own = tmp_path / "own"
    paths.pki.rename(own)
    keep(paths, Certificates(folder=own))
    assert main(["pki", "show", "--json"]) == 0
    files = [row["file"] for row in json.loads(capsys.readouterr().out)]
    assert files == [str(own / name) for name in ("ca.pem", "kme/a.pem", "sae/a.sae.pem")]
    assert recalled(paths, Certificates()) == Certificates(folder=own)
    assert recalled(paths, Certificates(ca=own / "x.pem")) == Certificates(folder=own, ca=own / "x.pem")
    assert recalled(paths, Certificates(folder=paths.pki)) == Certificates()
    assert recalled(paths, Certificates()) == Certificates()
    assert folder_of(paths) == paths.pki


@pytest.mark.parametrize("who", ["a", "urn:qkd:lab:a:sae"])
def test_an_sae_is_handed_its_files(capsys, made, tmp_path, who):
    assert main(["pki", "export", who, str(tmp_path / "mine")]) == 0
    files = capsys.readouterr().out.splitlines()
    assert [Path(file).name for file in files] == ["a.sae.pem", "a.sae.key", "ca.pem"]
    assert not (tmp_path / "mine" / "ca.key").exists()
    assert main(["pki", "export", who, str(tmp_path / "mine")]) == 1
    assert "is there already" in capsys.readouterr().err


def test_an_sae_is_handed_the_ca_that_lies_elsewhere(capsys, made, tmp_path):
    paths, ca = state_paths("madrid"), tmp_path / "authority.pem"
    made.ca.certificate.rename(ca)
    keep(paths, Certificates(folder=paths.pki, ca=ca))
    assert main(["pki", "export", "a", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine" / "authority.pem").read_bytes() == ca.read_bytes()


def test_nobody_is_handed_the_files_of_somebody_unknown(capsys, made, tmp_path):
    assert main(["pki", "export", "urn:qkd:lab:aa:sae", str(tmp_path)]) == 1
    assert "did you mean `urn:qkd:lab:a:sae`" in capsys.readouterr().err


def test_a_ca_of_ones_own_needs_certificates_of_ones_own(capsys, made):
    assert main(["up", "madrid", "--ca", str(made.ca.certificate)]) == 1
    assert "--cert-dir" in capsys.readouterr().err
