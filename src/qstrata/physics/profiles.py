"""Named device profiles: every figure of a link that its fibre does not give, with its source."""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from qstrata.core.errors import InputError
from qstrata.physics.detectors import Detector
from qstrata.physics.parameters import PARAMETERS, KeyLinkParameters, LinkParameters, Parameter

P = TypeVar("P", bound=KeyLinkParameters)

DEFAULT_PROFILE = "gys-100mhz"

_GYS = (
    "C. Gobby, Z. L. Yuan, A. J. Shields, Appl. Phys. Lett. 84, 3762 (2004), as tabulated in Ma et al. 2005"
)
_MA = "X. Ma, B. Qi, Y. Zhao, H.-K. Lo, Phys. Rev. A 72, 012326 (2005)"
_OURS = "chosen by qstrata"
_INGAAS = Detector()
_INGAAS_SOURCE = "the default detector: Zhang et al., Light: Sci. Appl. 4, e286 (2015)"
_SIDE_CHANNELS = (
    ("efficiency_ratio", 0.25, f"{_OURS}: gated avalanche diodes whose gates open at different instants"),
    ("shift_ps", 150.0, f"{_OURS}: beyond the spread of clicks, within the window"),
    ("jitter_fwhm_ps", _INGAAS.jitter_fwhm_ps, _INGAAS_SOURCE),
    ("window_ps", _INGAAS.window_ps, _INGAAS_SOURCE),
    ("watch_efficiency", 0.01, f"{_OURS}: a tap of 5 % before a detector of 20 %"),
    ("watch_dark_rate_hz", _INGAAS.dark_count_rate_hz, _INGAAS_SOURCE),
)
"""What of the devices only attacks and their instruments have to do with (`side_channels`)."""


class ProfileField(msgspec.Struct, frozen=True):
    """Hold one figure of a profile with its unit, the range allowed and where it comes from."""

    name: str
    value: float
    unit: str
    minimum: float
    maximum: float
    source: str


class Profile(msgspec.Struct, Generic[P], frozen=True):
    """Name a set of device figures of one protocol; channel loss and attacks are not part of it."""

    name: str
    summary: str
    fields: tuple[ProfileField, ...]
    parameters: type[P]

    def link_parameters(self, loss_db: float, **figures: float) -> P:
        """Return these devices on a channel of `loss_db` (0 to 200 dB), with `figures` replaced.

        Raises InputError where a figure is out of range, or figures contradict each other.
        """
        known: dict[str, Any] = {field.name: field.value for field in self.fields} | figures
        parameters = self.parameters(loss_db=loss_db, **known)
        parameters.protocol.check(parameters)
        return parameters


def profile_of(
    parameters: type[P],
    table: Iterable[Parameter],
    name: str,
    summary: str,
    *figures: tuple[str, float, str],
) -> Profile[P]:
    """Make a profile of figures, each with its value and source; units and ranges stand in `table`."""
    ranges = {parameter.name: parameter for parameter in table}
    return Profile(
        name=name,
        summary=summary,
        fields=tuple(
            ProfileField(
                field, value, ranges[field].unit, ranges[field].minimum, ranges[field].maximum, source
            )
            for field, value, source in figures
        ),
        parameters=parameters,
    )


def _profile(name: str, summary: str, *figures: tuple[str, float, str]) -> Profile[LinkParameters]:
    return profile_of(LinkParameters, PARAMETERS, name, summary, *figures)


PROFILES: tuple[Profile[LinkParameters], ...] = (
    _profile(
        "gys-100mhz",
        "Receiver of Gobby, Yuan, Shields 2004 with a decoy source at 100 MHz in place of the original 2 MHz",
        ("pulse_rate_hz", 100e6, f"{_OURS}: 50 times the 2 MHz of the original experiment"),
        ("signal_intensity", 0.48, f"{_MA}: optimum for these devices with f 1.22"),
        ("weak_intensity", 0.05, f"{_OURS}: a usual weak decoy for the signal intensity"),
        ("vacuum_intensity", 0.0, f"{_OURS}: the vacuum + weak decoy protocol of Ma et al. 2005"),
        ("signal_probability", 0.3, f"{_OURS}: near the longest key of a 60 s block at 11.9 dB"),
        ("weak_probability", 0.5, f"{_OURS}: near the longest key of a 60 s block at 11.9 dB"),
        ("vacuum_probability", 0.2, f"{_OURS}: near the longest key of a 60 s block at 11.9 dB"),
        ("sender_z_probability", 0.7, f"{_OURS}: near the longest key of a 60 s block at 11.9 dB"),
        ("receiver_z_probability", 0.7, f"{_OURS}: same as the sender"),
        ("eta_bob", 0.045, _GYS),
        ("y0", 1.7e-6, _GYS),
        ("e_d", 0.033, _GYS),
        ("error_correction_efficiency", 1.22, f"{_MA}: value used for error correction"),
        ("eps_sec", 1e-10, f"{_OURS}: a usual secrecy level per block"),
        ("eps_cor", 1e-15, f"{_OURS}: a usual correctness level per block"),
        *_SIDE_CHANNELS,
    ),
    _profile(
        "ingaas-1ghz",
        "Two gated InGaAs avalanche diodes behind a decoy source at 1 GHz, with dead time and after-pulses",
        ("pulse_rate_hz", 1e9, f"{_OURS}: clock of present fibre systems"),
        ("signal_intensity", 0.5, f"{_OURS}: a usual signal intensity"),
        ("weak_intensity", 0.1, f"{_OURS}: near the longest key of blocks of 1e9 pulses"),
        ("vacuum_intensity", 0.0, f"{_OURS}: the vacuum + weak decoy protocol of Ma et al. 2005"),
        ("signal_probability", 0.3, f"{_OURS}: near the longest key of blocks of 1e9 pulses"),
        ("weak_probability", 0.5, f"{_OURS}: near the longest key of blocks of 1e9 pulses"),
        ("vacuum_probability", 0.2, f"{_OURS}: near the longest key of blocks of 1e9 pulses"),
        ("sender_z_probability", 0.7, f"{_OURS}: near the longest key of blocks of 1e9 pulses"),
        ("receiver_z_probability", 0.7, f"{_OURS}: same as the sender"),
        ("eta_bob", _INGAAS.seen_share, f"efficiency and window: {_INGAAS_SOURCE}"),
        ("y0", _INGAAS.dark_yield, f"dark counts of both in the window: {_INGAAS_SOURCE}"),
        ("e_d", 0.01, f"{_OURS}: a visibility of 98 %"),
        ("dead_time_ns", _INGAAS.dead_time_ns, _INGAAS_SOURCE),
        ("afterpulse_probability", _INGAAS.afterpulse_probability, _INGAAS_SOURCE),
        ("error_correction_efficiency", 1.1, f"{_OURS}: Cascade as built here tells 1.05 to 1.1"),
        ("eps_sec", 1e-10, f"{_OURS}: a usual secrecy level per block"),
        ("eps_cor", 1e-15, f"{_OURS}: a usual correctness level per block"),
        *_SIDE_CHANNELS,
    ),
)


def profile(name: str = DEFAULT_PROFILE) -> Profile[LinkParameters]:
    """Return the profile of decoy-state BB84 called `name`; InputError names those there are."""
    for candidate in PROFILES:
        if candidate.name == name:
            return candidate
    known = ", ".join(candidate.name for candidate in PROFILES)
    raise InputError(f"no device profile is called {name!r}: choose one of {known}")
