"""The commands that attack a link, or the memories of a node, of a running network."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from qstrata.cli.answer_faults import Inject
from qstrata.cli.arguments import Json, Network, StateDir, Target

KINDS = {
    "intercept-resend": (
        "Let an eavesdropper measure and resend a share of a link's pulses.",
        "Share of the pulses that Eve measures and resends, 0 to 1.",
    ),
    "photon-number-splitting": (
        "Let an eavesdropper keep one photon of pulses that have several, and block those that have one.",
        "Share of the pulses whose photons Eve counts, 0 to 1.",
    ),
    "blinding": (
        "Let an eavesdropper rule the detectors by bright light: they click in her basis alone.",
        "Share of the pulses during which she does, 0 to 1.",
    ),
    "entanglement-substitution": (
        "Let an eavesdropper give separable pairs in place of entangled ones, on a link of pairs.",
        "Share of the pairs that Eve replaces, 0 to 1.",
    ),
    "efficiency-mismatch": (
        "Let an eavesdropper shift pulses in time so that one detector sees them better than the other.",
        "Share of the pulses that Eve shifts, 0 to 1.",
    ),
    "time-shift": (
        "Let an eavesdropper shift pulses towards either detector at random, and note which she favours.",
        "Share of the pulses that Eve shifts, 0 to 1.",
    ),
    "trojan-horse": (
        "Let an eavesdropper shine light into the transmitter and read its settings in what comes back.",
        "Photons per pulse that Eve sends in, 0 to 1e12.",
    ),
    "memory-tampering": (
        "Let an eavesdropper apply random Pauli operators to qubits that come into the memories of a node.",
        "Share of the qubits that Eve attacks, 0 to 1.",
    ),
    "replay": (
        "Record the messages of a classical channel, and send earlier ones again.",
        "Share of the messages that is followed by an earlier one, 0 to 1.",
    ),
    "tap": ("Take light out of a fibre.", "Share of the light that is taken, 0 to 1."),
    "raman": (
        "Shine light into a fibre that scatters photons into the quantum channel.",
        "Clicks per second that it causes at the receiver, 0 to 1e6.",
    ),
}
"""Every attack with what it does and what its amount is."""

ROGUE = "rogue-controller"


def add_to(app: App, inject: Inject) -> None:
    """Add a command for each attack."""
    for kind, (text, amount) in KINDS.items():
        app.command(_command(kind, amount, inject), name=kind, help=text)

    def rogue(
        target: Annotated[str, Parameter(name="TARGET", help="Node at which the intruder comes in.")],
        /,
        *,
        network: Network = None,
        state_dir: StateDir = None,
        json: Json = False,
    ) -> None:
        inject(ROGUE, target, 1.0, network, state_dir, json)

    text = "Let an intruder at a node speak as controllers, managers and operators would, every second."
    app.command(rogue, name=ROGUE, help=text)


def _command(kind: str, help_of_amount: str, inject: Inject) -> Any:
    def command(
        target: Target,
        amount: Annotated[float, Parameter(help=help_of_amount)],
        /,
        *,
        network: Network = None,
        state_dir: StateDir = None,
        json: Json = False,
    ) -> None:
        inject(kind, target, amount, network, state_dir, json)

    return command
