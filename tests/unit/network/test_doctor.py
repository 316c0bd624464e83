"""The doctor: what is sound is ok, and each thing that can be wrong is found, with advice."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from qstrata.network import doctor
from qstrata.network.doctor import Check, Patient
from qstrata.network.pki import KmeIdentity, PkiPaths, ensure_pki
from qstrata.network.remote import FaultsView
from qstrata.network.state import NodePort, RunRecord, hold, prepare, state_paths, write_run
from qstrata.store.sealed_file import SealedFile
from qstrata.store.sealing import FileKeyProvider, Sealer
from tests.unit.cli.answers import scripted_network

DAY_S = 86_400
NOW = int(time.time())
HOST = "127.0.0.1"


def certificates(patient: Patient) -> PkiPaths:
    kmes = (KmeIdentity("a", "urn:qkd:lab:kme:a"),)
    return ensure_pki(patient.paths.pki, "lab", kmes, ("urn:qkd:lab:a:sae",), NOW)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    """Return a network that is down and sound: certificates, a sealing key and a ledger with rows."""
    # The folder that pytest offers may be too deep for a socket.
    short = Path(f"/tmp/q-doctor-{os.getpid()}")
    short.symlink_to(tmp_path)
    try:
        patient = Patient(name="lab", paths=state_paths("lab", short / "lab"), ports=(), host=HOST)
        prepare(patient.paths)
        certificates(patient)
        sealer = Sealer(FileKeyProvider(patient.paths.sealing_key).key())
        ledger = SealedFile(patient.paths.ledger, sealer, None)
        ledger.apply({("a", "kind", str(number)): b"body" for number in range(9)})
        ledger.close()
        yield patient
    finally:
        short.unlink()


def verdicts(patient: Patient) -> dict[str, str]:
    return {check.name: check.verdict for check in doctor.examine(patient)}


def test_a_sound_network_that_is_down_passes_and_is_left_as_it_was(patient: Patient) -> None:
    before = {path: path.read_bytes() for path in patient.paths.root.rglob("*") if path.is_file()}
    found = verdicts(patient)
    # How fast the disk of this machine is says nothing about the doctor.
    assert found.pop("disk") in ("ok", "warn")
    assert found == {
        "python": "ok",
        "tls": "ok",
        "ports": "ok",
        "folder": "ok",
        "certificates": "ok",
        "leftovers": "ok",
        "process": "skip",
        "sealing-key": "ok",
        "store": "ok",
    }
    after = {path: path.read_bytes() for path in patient.paths.root.rglob("*") if path.is_file()}
    assert after == before


def test_a_network_that_is_up_and_answers_passes(patient: Patient) -> None:
    with scripted_network(patient.paths, FaultsView(faults=())):
        write_run(patient.paths, RunRecord(os.getpid(), (NodePort("a", 1),)))
        found = verdicts(patient)
    assert (found["ports"], found["process"], found["store"]) == ("ok", "ok", "skip")
    assert "fail" not in found.values()


def test_a_network_that_never_was_has_nothing_to_check(tmp_path: Path) -> None:
    found = verdicts(
        Patient(name="lab", paths=state_paths("lab", Path("/tmp/q-never")), ports=None, host=HOST)
    )
    skipped = ("ports", "folder", "certificates", "process", "sealing-key", "store")
    assert {found[name] for name in skipped} == {"skip"}
    assert not Path("/tmp/q-never").exists()


@pytest.mark.parametrize(("version", "verdict"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 14), "ok")])
def test_an_old_python_is_found(version, verdict):
    assert doctor.check_python(version).verdict == verdict


def test_a_python_without_tls_1_3_is_found():
    check = doctor.check_tls("OpenSSL 1.0.2", "OpenSSL 3", has_tls13=False)
    assert (check.verdict, "1.0.2" in check.finding) == ("warn", True)


def test_a_port_that_is_held_is_found_with_the_process_that_holds_it(patient: Patient) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        ports = (NodePort("a", port), NodePort("b", 0))
        check = doctor.check_ports(msgspec.structs.replace(patient, ports=ports))
    assert check.verdict == "fail"
    assert f"port {port} of a" in check.finding
    if Path("/proc/net/tcp").exists():
        assert f"process {os.getpid()} (" in check.finding


def test_an_address_that_is_not_of_this_machine_is_found(patient: Patient) -> None:
    lost = msgspec.structs.replace(patient, ports=(NodePort("a", 1025),), host="192.0.2.1")
    assert doctor.check_ports(lost).verdict == "fail"


def test_a_folder_in_which_others_may_write_is_found(patient: Patient) -> None:
    patient.paths.root.chmod(0o777)
    check = doctor.check_folder(patient)
    assert (check.verdict, check.advice) == ("fail", f"run `chmod 700 {patient.paths.root}`")


def test_a_folder_of_somebody_else_is_found(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 4_000_000)
    assert doctor.check_folder(patient).verdict == "fail"


@pytest.mark.parametrize(
    ("days", "verdict", "advice"),
    [(-2, "fail", "clock"), (0, "ok", ""), (360, "warn", "pki renew"), (366, "fail", "pki renew")],
)
def test_certificates_are_held_against_the_clock(patient, days, verdict, advice):
    check = doctor.check_certificates(patient, NOW + days * DAY_S)
    assert check.verdict == verdict
    assert advice in check.advice


def test_a_certificate_that_cannot_be_read_is_found(patient: Patient) -> None:
    certificates(patient).kmes[0].certificate.write_text("no PEM")
    assert doctor.check_certificates(patient, NOW).verdict == "fail"


def test_a_slow_disk_is_found(patient: Patient) -> None:
    assert doctor.check_disk(patient, lambda _: 40.0).verdict == "warn"
    assert doctor.check_disk(patient, lambda _: 4000.0) == Check("disk", "ok", "4000 synced writes/s")
    assert doctor.syncs_per_s(patient.paths.root) > 0


def leave_run_file(patient: Patient) -> Path:
    write_run(patient.paths, RunRecord(1, ()))
    return patient.paths.run_file


def leave_socket(patient: Patient) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(patient.paths.control_socket))
    return patient.paths.control_socket


def leave_draft(patient: Patient) -> Path:
    draft = patient.paths.data / ".origin.json.new"
    draft.write_bytes(b"")
    return draft


@pytest.mark.parametrize("leave", [leave_run_file, leave_socket, leave_draft])
def test_what_a_killed_process_left_is_found(patient: Patient, leave: Callable[[Patient], Path]) -> None:
    left = leave(patient)
    check = doctor.check_leftovers(patient)
    assert (check.verdict, check.advice) == ("warn", f"run `rm {left}`")


def test_a_process_that_holds_the_network_and_does_not_answer_is_found(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold(patient.paths):
        check = doctor.check_process(patient)
        assert (check.verdict, f"kill -9 {os.getpid()}" in check.advice) == ("fail", True)
        monkeypatch.setattr(doctor, "_ANSWER_S", 0.05)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(patient.paths.control_socket))
            server.listen()
            assert doctor.check_process(patient).verdict == "fail"


def test_a_sealing_key_that_others_may_read_is_found(patient: Patient) -> None:
    patient.paths.sealing_key.chmod(0o644)
    check = doctor.check_sealing_key(patient)
    assert (check.verdict, "0644" in check.finding) == ("fail", True)
    assert f"chmod 600 {patient.paths.sealing_key}" in check.advice


def test_a_sealing_key_that_was_cut_is_found(patient: Patient) -> None:
    patient.paths.sealing_key.write_bytes(b"short")
    assert doctor.check_sealing_key(patient).verdict == "fail"


def test_a_sealing_key_that_is_gone_is_found_where_there_is_a_ledger(patient: Patient) -> None:
    patient.paths.sealing_key.unlink()
    assert doctor.check_sealing_key(patient).verdict == "fail"
    patient.paths.ledger.unlink()
    assert doctor.check_sealing_key(patient).verdict == "skip"


def wrong_key(patient: Patient) -> None:
    patient.paths.sealing_key.write_bytes(bytes(32))


def lost_row(patient: Patient) -> None:
    with apsw.Connection(str(patient.paths.ledger)) as database:
        database.execute("DELETE FROM record WHERE key = '3'")
    database.close()


def torn_file(patient: Patient) -> None:
    patient.paths.ledger.write_bytes(b"x" * 8192)


@pytest.mark.parametrize("harm", [wrong_key, lost_row, torn_file])
def test_a_ledger_that_is_not_what_was_written_is_found(
    patient: Patient, harm: Callable[[Patient], None]
) -> None:
    harm(patient)
    before = patient.paths.ledger.read_bytes()
    check = doctor.check_store(patient)
    assert check.verdict == "fail"
    assert str(patient.paths.ledger) in check.finding
    assert patient.paths.ledger.read_bytes() == before


def test_a_check_that_itself_fails_is_a_finding(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(patient: Patient) -> Check:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(doctor, "check_folder", broken)
    found = {check.name: check for check in doctor.examine(patient)}
    assert (found["folder"].verdict, found["folder"].finding) == ("fail", "the disk is on fire")
