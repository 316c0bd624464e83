"""What a word that is not known was meant to be: the nearest known one, other names of it, other units."""

import difflib
from collections.abc import Collection, Iterable

_SHOWN = 20
_LONGEST = 100

_OTHER_NAMES = {
    "attenuation": ("loss-db",),
    "bits": ("key-size-bits", "initial-key-bits"),
    "coordinates": ("site",),
    "demand": ("demands",),
    "distance": ("length-km",),
    "edges": ("links",),
    "endpoints": ("ends", "between"),
    "fiber": ("fibre",),
    "id": ("name",),
    "key-size": ("key-size-bits",),
    "latency": ("delay-ms", "delay-us"),
    "location": ("site",),
    "nodes": ("ends",),
    "optical-fibre": ("fibre",),
    "optical-fiber": ("fibre",),
    "pos": ("site",),
    "position": ("site",),
    "realtime": ("real",),
    "simulated": ("virtual",),
    "sites": ("nodes",),
    "size": ("key-size-bits",),
    "template": ("kind",),
    "type": ("kind", "protocol"),
    "vertices": ("nodes",),
}

_UNITS = (
    {"mm": 1e-6, "cm": 1e-5, "m": 1e-3, "km": 1.0},
    {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
    {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    {"bit": 1.0, "bits": 1.0, "b": 1.0, "B": 8.0, "byte": 8.0, "bytes": 8.0, "kbit": 1e3, "Mbit": 1e6},
)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the one of the words known that `word` was meant to be, empty if none is near."""
    choices = list(known)
    for other in _OTHER_NAMES.get(word.casefold(), ()):
        if other in choices:
            return other
    plain = {choice.casefold(): choice for choice in choices}
    asked = word[:_LONGEST].strip().casefold().replace("_", "-").replace(" ", "-")
    close = difflib.get_close_matches(asked, plain, n=1, cutoff=0.6)
    if close:
        return plain[close[0]]
    parts = [choice for choice in choices if asked in choice.replace(":", "-").split("-")]
    named = [choice for choice in parts if asked in choice.split(":")]
    found = named or parts
    return found[0] if len(found) == 1 else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` for the nearest of the words known, or a list of them."""
    choices = list(known)
    if close := nearest(word, choices):
        return asked(close)
    shown = ", ".join(f"`{choice}`" for choice in choices[:_SHOWN])
    if not choices:
        return "; there is none"
    verb = "is" if len(choices) == 1 else "are"
    return f"; there {verb} {shown}{', ...' if len(choices) > _SHOWN else ''}"


def asked(meant: str) -> str:
    """Return the question whether this was meant; nothing for nothing."""
    return f"; did you mean `{meant}`?" if meant else ""


def in_unit(number: float, unit: str, wanted: str) -> float | None:
    """Convert a number to the unit that is wanted; None where the two are not of one quantity."""
    for factors in _UNITS:
        if unit in factors and wanted in factors:
            return number * factors[unit] / factors[wanted]
    return number if unit.casefold() in _spellings(wanted) else None


def _spellings(unit: str) -> Collection[str]:
    return ("", unit.casefold(), unit.casefold().removesuffix("s"))
