"""The engine `script:PATH`: protocol scripts that make one key and end.

A script is called as `python3 PATH KEYBITS LENGTH_KM PARAMS.yaml` and prints a JSON object with
`alice_key`, `bob_key` and `time`, the seconds of the link that the key took.
"""

import math
from typing import Any

import msgspec

from qstrata.core.effects import Work, WorkDone
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import zero
from qstrata.physics.parameters import LinkParameters
from qstrata.twin.blockwise import BlockwiseEngine, FindingError, FixedBits, Given
from qstrata.twin.contract import Capabilities, EngineFactory, LinkTask
from qstrata.twin.sampling import pulses_before

SCRIPT = "script"

LONGEST_KEY_S = 1e6
"""A key that takes longer is taken for nonsense."""

_DROPPED = str.maketrans("", "", " \t\r\n,[]")


class ScriptWork(Work, frozen=True, kw_only=True):
    """Run a script until it has given `key_bits` bits; `parameters` is the text of its PARAMS.yaml."""

    script: str
    key_bits: int
    length_km: float
    parameters: str


class ScriptKey(msgspec.Struct, frozen=True):
    """What runs of a script gave: bits as `0` and `1`, equal at both ends, and the seconds they took."""

    bits: str
    time_s: float


def read_run(output: bytes) -> ScriptKey:
    """Read what a script printed: its last line that is a JSON object, or all of it.

    Keys are strings or lists of 0 and 1. Raises FindingError, which quotes no key, for anything else, for
    unequal keys and for a time that is negative or no number.
    """
    answer = _object(output)
    missing = [name for name in ("alice_key", "bob_key") if name not in answer]
    if missing or not {"time", "time(s)"} & set(answer):
        raise FindingError(f"it gave no {(missing or ['time'])[0]}")
    alice, bob = (_bits(answer[name]) for name in ("alice_key", "bob_key"))
    if alice is None or bob is None:
        raise FindingError("its keys are not strings or lists of 0 and 1")
    if alice != bob:
        raise FindingError("it gave unequal keys")
    time_s = answer.get("time", answer.get("time(s)"))
    if not isinstance(time_s, int | float) or not math.isfinite(time_s) or isinstance(time_s, bool):
        raise FindingError("its time is no number")
    if time_s < 0:
        raise FindingError(f"it gave a time in the past: {time_s:g} s")
    if time_s > LONGEST_KEY_S:
        raise FindingError(f"its key takes {time_s:g} s, longer than {LONGEST_KEY_S:g} s")
    return ScriptKey(alice, float(time_s))


def engine(path: str) -> EngineFactory:
    """Return what makes engines that run the script at `path`."""

    def make(task: LinkTask) -> BlockwiseEngine:
        return _Script(path, task).engine

    return make


def parameters_text(task: LinkTask, block: int, revision: int, parameters: LinkParameters) -> str:
    """Return PARAMS.yaml: every parameter of the link as it is now, and a seed of this block's own."""
    figures = msgspec.structs.asdict(parameters) | {"length_km": task.length_km}
    lines = [f"{name}: {_yaml(value)}" for name, value in figures.items()]
    return "\n".join([f"seed: {task.draws(block, revision)}", f"link: {task.link}", *lines, ""])


class _Script:
    def __init__(self, path: str, task: LinkTask) -> None:
        self._path = path
        self._task = task
        self._surplus = ""
        self.engine = BlockwiseEngine(
            task,
            Capabilities(name=f"{SCRIPT}:{path}", off_loop=True),
            self._work,
            self._take,
            self._forget,
        )

    def _work(self, block: int, revision: int, parameters: LinkParameters) -> ScriptWork:
        return ScriptWork(
            topic=f"engine {self._task.link}",
            limit_s=self._task.limit_s,
            script=self._path,
            key_bits=max(0, self._task.block_key_bits - len(self._surplus)),
            length_km=self._task.length_km,
            parameters=parameters_text(self._task, block, revision, parameters),
        )

    def _forget(self) -> None:
        """Forget key beyond the last block: it was made by the link as it was then."""
        self._surplus = ""

    def _take(self, done: WorkDone) -> Given:
        if done.failure:
            raise FindingError(f"script {self._path}: {done.failure}")
        key = msgspec.json.decode(done.output, type=ScriptKey)
        bits = self._surplus + key.bits
        wanted = self._task.block_key_bits
        taken, self._surplus = bits[:wanted], bits[wanted:]
        made_ps = math.ceil(key.time_s * PS_PER_S)
        pulses = pulses_before(self._task.parameters.pulse_rate_hz, max(made_ps, self._task.block_ps))
        return Given(
            counts=msgspec.structs.replace(zero(), sent=(pulses, 0, 0)),
            bits=FixedBits(int(taken, 2).to_bytes(wanted // 8, "big")),
            distilled_bits=wanted,
            made_ps=made_ps,
        )


def _object(output: bytes) -> dict[str, Any]:
    for text in (output, *reversed(output.splitlines())):
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(found, dict):
            return found
    raise FindingError("it printed no JSON object" if output.strip() else "it printed nothing")


def _bits(key: object) -> str | None:
    if isinstance(key, list):
        key = "".join(str(int(bit)) if isinstance(bit, bool | int | float) else str(bit) for bit in key)
    if not isinstance(key, str):
        return None
    text = key.translate(_DROPPED)
    return text if not text.strip("01") else None


def _yaml(value: float) -> str:
    """Return a number as YAML 1.1 reads it too, which wants a point before an exponent."""
    mantissa, mark, exponent = repr(value).partition("e")
    return f"{mantissa}.0e{exponent}" if mark and "." not in mantissa else f"{mantissa}{mark}{exponent}"
