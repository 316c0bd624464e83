"""Foreign programs: bounded, with a deadline, and gone with all that they started."""

import subprocess
import sys

import pytest

from qstrata.network.guarded import GuardedProgram, ProgramError


def python(code):
    return GuardedProgram([sys.executable, "-I", "-S", "-c", code])


def is_gone(group):
    """Tell whether a group has no process left but such as wait to be reaped; to be killed takes a moment."""
    for _ in range(200):
        listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, check=True).stdout
        rows = [row.split() for row in listed.decode().splitlines()]
        if not [row for row in rows if int(row[0]) == group and not row[1].startswith("Z")]:
            return True
    return False


def test_what_a_program_prints_is_returned_when_it_ends_well():
    program = python("print('one'); print('two')")
    assert program.all(30) == b"one\ntwo\n"
    program.end()
    program.end()
    assert is_gone(program.group)


def test_lines_go_both_ways():
    program = python("import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)")
    for word in (b"one", b"two"):
        program.send(word)
        assert program.line(30) == word.upper()
    program.end()


def test_a_program_that_fails_is_told_with_its_last_words():
    program = python("import sys; sys.stderr.write('x' * 9000 + 'no such state'); sys.exit(3)")
    with pytest.raises(ProgramError, match=r"exit status 3.*no such state") as told:
        program.all(30)
    assert len(str(told.value)) < 400
    program.end()


def test_a_program_that_kills_itself_is_told_with_the_signal():
    program = python("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ProgramError, match="signal 9"):
        program.line(30)
    program.end()


def test_a_program_that_is_not_there_is_named():
    program = GuardedProgram(["/nowhere/python"])
    with pytest.raises(ProgramError, match="exit status 127: /nowhere/python cannot be run"):
        program.all(30)
    program.end()


def test_a_program_that_hangs_is_ended_with_what_it_started():
    start = "import subprocess, time; subprocess.Popen(['sleep', '600'])"
    code = f"{start}; print('up', flush=True); time.sleep(600)"
    program = python(code)
    assert program.line(30) == b"up"
    with pytest.raises(ProgramError, match=r"no answer after 0.01 s"):
        program.line(0.01)
    program.end()
    assert is_gone(program.group)


def test_what_a_program_leaves_behind_ends_with_it():
    program = python("import subprocess; subprocess.Popen(['sleep', '600']); print('done')")
    assert program.all(30) == b"done\n"
    program.end()
    assert is_gone(program.group)


def test_a_program_ends_with_the_process_that_started_it_even_if_that_is_killed():
    code = (
        "import os, sys\n"
        "from qstrata.network.guarded import GuardedProgram\n"
        "program = GuardedProgram(['sleep', '600'])\n"
        "print(program.group, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    group = int(killed.stdout)
    assert is_gone(group)
