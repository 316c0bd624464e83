"""`events` and `inspect --watch`: a network as it goes on, for eyes on a terminal, for programs elsewhere."""

import sys
import time

import msgspec

from qstrata.cli.arguments import Json, Name, StateDir
from qstrata.cli.places import Place, ask, not_up, place_of
from qstrata.cli.show_inspect import show_network
from qstrata.cli.tables import out
from qstrata.core.errors import EnvironmentFaultError
from qstrata.network.amounts import amount_in_words
from qstrata.network.events import (
    AlarmChanged,
    AnyEvent,
    BearerChanged,
    Cut,
    Ended,
    Event,
    FaultChanged,
    Levels,
    LinkChanged,
    MessageRefused,
    SessionChanged,
    Snapshot,
)
from qstrata.network.remote import AskInspect, NetworkView
from qstrata.network.state import running_pid

PERIOD_S = 1.0

_CLEAR = "\x1b[2J\x1b[H"

_decode = msgspec.json.Decoder(AnyEvent).decode
_encode = msgspec.json.Encoder().encode


def events(name: Name = None, /, *, json: Json = False, state_dir: StateDir = None) -> None:
    """Tell what happens: a snapshot, then each change, and the levels of links and pools every second.

    On a terminal one line tells one change; elsewhere, or with --json, each line is one JSON object. It
    ends with the network, or by Ctrl-C; a reader that is too slow is cut and told so.
    """
    from qstrata.network.asking import follow

    place = place_of(name, state_dir)
    if running_pid(place.paths) is None:
        raise not_up(place)
    for_programs = json or not sys.stdout.isatty()
    last = b""
    for line in follow(place.paths):
        last = line
        if for_programs:
            sys.stdout.write(line.decode())
        else:
            for text in told(_decode(line)):
                out(text)
        sys.stdout.flush()
    end = _decode(last)
    if isinstance(end, Cut):
        raise EnvironmentFaultError(end.text)


def watch(place: Place, *, as_json: bool) -> None:
    """Show a network every second until interrupted: drawn anew on a terminal, else a JSON object a line."""
    for_programs = as_json or not sys.stdout.isatty()
    while True:
        view = ask(place, AskInspect(), NetworkView)
        if for_programs:
            out(_encode(view).decode())
        else:
            sys.stdout.write(_CLEAR)
            show_network(view)
        sys.stdout.flush()
        time.sleep(PERIOD_S)


def told(event: Event) -> list[str]:
    """Return an event in words, a line each; levels have none, they are for programs."""
    if isinstance(event, Levels):
        return []
    return [f"{event.at_s:10.3f} s  {text}" for text in _words(event)]


def _words(event: Event) -> list[str]:
    match event:
        case Snapshot():
            return _standing(event.network)
        case LinkChanged():
            moves = [
                f"{what}{was} -> {now}" if was and was != now else f"{what}{now}"
                for what, was, now in (
                    ("", event.was_state, event.state),
                    ("media ", event.was_media, event.media),
                )
            ]
            return [f"link {event.link}: {', '.join(moves)}{_because(event.reason)}"]
        case BearerChanged():
            state = ("up" if event.up else "down") if event.granted else "not granted"
            return [f"bearer {event.bearer} seen from {event.node}: {state}"]
        case SessionChanged():
            state = f"{event.was} -> {event.state}" if event.was not in ("", event.state) else event.state
            path = " - ".join(event.sites) or "none"
            ends = f"{event.a} and {event.b}"
            return [f"session {event.session} of {ends}: {state}, path {path}{_because(event.reason)}"]
        case AlarmChanged():
            verb = "goes on" if event.was else "raised" if event.raised else "cleared"
            return [f"alarm {verb}: {event.subject}, {event.channel}: {event.finding}"]
        case FaultChanged():
            verb = "injected" if event.injected else "healed"
            words = amount_in_words(event.kind, event.amount)
            return [f"fault {verb}: {event.kind} {event.target}{words and f', {words}'}"]
        case MessageRefused():
            what = f"{event.type} of " if event.type else ""
            return [f"refused: {what}{event.sender} to {event.receiver}, {event.count} times: {event.reason}"]
        case Cut() | Ended():
            return [event.text]
    return []


def _standing(view: NetworkView) -> list[str]:
    counts = f"{len(view.nodes)} nodes, {len(view.links)} links, {len(view.sessions)} sessions"
    stand = f"{len(view.alarms)} alarms and {len(view.faults)} injected faults stand"
    return [f"{view.name}: {counts}; {stand}"]


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
