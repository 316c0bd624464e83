"""The codes of errors: one table from a code to a type of error, what causes it, and the cure.

Types are named by their place, not imported: to say a code costs a command nothing. The first digit says
whose fault it is and goes with the exit code: 1 what was given, 2 usage, 3 the machine, 4 the other side,
7 qstrata itself.
"""

import msgspec


class ErrorCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code, the type of error that it stands for, and what a reader of the manual is told of it."""

    code: str
    type: str
    title: str
    cause: str
    cure: str


INPUT = "QS-101"
MACHINE = "QS-301"
INTERNAL = "QS-701"
CRASH = "QS-702"

CODES = (
    ErrorCode(
        code=INPUT,
        type="qstrata.core.errors.InputError",
        title="what was given is wrong",
        cause="A name, figure or file that a command was given is not known, or out of its range.",
        cure="The message names what was given, the allowed range or the names there are. "
        "`qstrata inspect` shows the names of a network that is up.",
    ),
    ErrorCode(
        code="QS-102",
        type="qstrata.network.document.DescriptionError",
        title="the file is wrong",
        cause="The file does not describe a network or a scenario: every problem is listed with its line and "
        "column.",
        cure="Mend the places that are listed; `qstrata validate FILE` checks a network and starts nothing.",
    ),
    ErrorCode(
        code="QS-103",
        type="qstrata.core.errors.RefusedError",
        title="a rule forbids it",
        cause="A rule of the architecture or a policy of the network forbids what was asked: an arrow that "
        "is not drawn, a scope, a pair that may not share keys.",
        cure="The message names the rule. `qstrata describe` lists the arrows, and what was refused; pairs "
        "are allowed by `policy` in the network file.",
    ),
    ErrorCode(
        code="QS-104",
        type="qstrata.cli.endings.CheckFailedError",
        title="a check failed",
        cause="What a command was to check does not hold: for `demo --check`, that both ends get one key.",
        cure="The message says what differs. `qstrata inspect` shows links, pools and alarms; "
        "`qstrata doctor` looks at the machine.",
    ),
    ErrorCode(
        code="QS-201",
        type="qstrata.cli.endings.UsageError",
        title="wrong usage",
        cause="A command, an option or an argument that there is not, or one that is missing.",
        cure="`qstrata --help` lists the commands, `qstrata COMMAND --help` the arguments of one.",
    ),
    ErrorCode(
        code=MACHINE,
        type="qstrata.core.errors.EnvironmentFaultError",
        title="the machine is at fault",
        cause="A file, folder, port, permission or disk is not as it must be.",
        cure="The message names it with the cure; `qstrata doctor` checks the machine and the state folder.",
    ),
    ErrorCode(
        code="QS-302",
        type="qstrata.network.state.NotUpError",
        title="the network is not up",
        cause="The command asks a running network, and none runs in the state folder that is meant.",
        cure="Bring it up with `qstrata up`, or name another with NAME, `--network` or `--state-dir`. Where "
        "it ended by itself, `data/crash.log` or `up.log` in its state folder says why.",
    ),
    ErrorCode(
        code="QS-303",
        type="qstrata.network.state.AlreadyUpError",
        title="the network is up already",
        cause="Another process runs the network of this state folder; a ledger has one writer.",
        cure="Use that one, end it with `qstrata down`, or give a folder of its own with `--state-dir`.",
    ),
    ErrorCode(
        code="QS-304",
        type="qstrata.core.errors.SealedError",
        title="the store is sealed",
        cause="The sealing key does not open the ledger, or a row of it was changed from outside.",
        cure="Bring back the key that it was made with (`secrets/seal.key` in the state folder), or both "
        "from one backup. A folder whose keys may be lost can be removed while the network is down.",
    ),
    ErrorCode(
        code="QS-305",
        type="qstrata.core.errors.StoreFaultError",
        title="a durable write failed",
        cause="The disk refused a write or a sync. The network stopped rather than acknowledge what may be "
        "lost.",
        cure="See to the disk (space, health, permissions), then bring the network up again.",
    ),
    ErrorCode(
        code="QS-306",
        type="qstrata.network.face.TimedOutError",
        title="it did not come in time",
        cause="What was waited for, such as keys of a pair, did not come within the time given.",
        cure="`qstrata inspect` shows the session's reason and the links' alarms; wait longer where a link "
        "gathers its first block.",
    ),
    ErrorCode(
        code="QS-307",
        type="qstrata.core.errors.PortInUseError",
        title="a port is in use",
        cause="Another process listens on a port that the network file gives to a KME: another network, the "
        "same one with another state folder, or a program that has nothing to do with qstrata.",
        cure="The message names the process where the system tells, and the network if it is one: end it, or "
        "give the node another port in the file; 0 takes any free one, which `qstrata inspect` shows. "
        "`qstrata doctor FILE` looks at all ports of a file at once.",
    ),
    ErrorCode(
        code="QS-401",
        type="qstrata.cli.endings.PeerError",
        title="the other side failed",
        cause="The other side of a connection did not do its part.",
        cure="The message says what came instead; look at the other side's log.",
    ),
    ErrorCode(
        code="QS-402",
        type="qstrata.interfaces.etsi014.client.Etsi014Error",
        title="the KME failed",
        cause="The KME answered with an HTTP status that ETSI GS QKD 014 does not define for the method.",
        cure="Look at the KME's log; check that the URL is that of a KME.",
    ),
    ErrorCode(
        code="QS-403",
        type="qstrata.interfaces.etsi014.client.BadRequestError",
        title="the KME refused the request",
        cause="HTTP 400, or 404 to 415: a number, size or key id that the KME does not accept, or a key "
        "that is not, or no longer, there.",
        cure="The KME's own text says which. A key is fetched once by each SAE; sizes are in bits.",
    ),
    ErrorCode(
        code="QS-404",
        type="qstrata.interfaces.etsi014.client.UnauthorizedError",
        title="the KME does not allow it",
        cause="HTTP 401: the SAE of the certificate is not known there, or may not share keys with its peer.",
        cure="Use the certificate of an SAE that the KME serves; see `policy` in the network file.",
    ),
    ErrorCode(
        code="QS-405",
        type="qstrata.interfaces.etsi014.client.UnavailableError",
        title="the KME has no key now",
        cause="HTTP 503: too few keys are ready, or the session is being opened.",
        cure="Ask again in a moment; `qstrata inspect` shows pools, sessions and why one starves.",
    ),
    ErrorCode(
        code="QS-406",
        type="qstrata.interfaces.etsi014.client.NoAnswerError",
        title="no answer from the KME",
        cause="No connection, a TLS handshake that failed, or an answer that did not come in time. Keys that "
        "were asked for may be lost, and are not handed out again.",
        cure="The message has the reason of TLS or of the system. Check URL, CA and certificate with "
        "`qstrata pki show`.",
    ),
    ErrorCode(
        code=INTERNAL,
        type="qstrata.core.errors.InternalError",
        title="an invariant is broken",
        cause="A fault of qstrata: something that always holds did not.",
        cure="Report it, with `data/crash.log` of the state folder.",
    ),
    ErrorCode(
        code=CRASH,
        type="builtins.Exception",
        title="an unknown fault",
        cause="A fault of qstrata that nobody expected; its traceback was written to the file that is named.",
        cure="Report it with that file. It holds no keys.",
    ),
)

_BY_TYPE = {row.type: row.code for row in CODES}


def code_of(error: BaseException) -> str:
    """Return the code of an error: that of its type, else of the nearest type it is derived from."""
    for kind in type(error).__mro__:
        code = _BY_TYPE.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return code
    return CRASH
