"""The conformance suite of key protocols: ours and one of another package pass, and broken ones do not."""

import itertools

import msgspec
import pytest

from qstrata.network.protocols import BUILT_IN
from qstrata.physics.protocols.bbm92 import BBM92
from qstrata.physics.protocols.cv import CV_QKD
from qstrata.testing import check_protocol
from tests.conformance.single_photons import SINGLE_PHOTONS


@pytest.mark.parametrize("protocol", [*BUILT_IN, SINGLE_PHOTONS], ids=lambda protocol: protocol.name)
def test_a_protocol_keeps_every_promise(protocol):
    check_protocol(protocol)


def bbm92(**changes):
    """Return BBM92 with other functions, of profiles whose parameters name it."""

    class Own(BBM92.profiles[0].parameters, frozen=True, kw_only=True):
        @property
        def protocol(self):
            return made

    profile = msgspec.structs.replace(BBM92.profiles[0], parameters=Own)
    made = msgspec.structs.replace(BBM92, **({"profiles": (profile,)} | changes))
    return made


def longer(counts, link):
    estimate = BBM92.key_length(counts, link)
    return msgspec.structs.replace(estimate, length_bits=2 * estimate.length_bits)


TURNS = itertools.cycle((1.0, 1.0 - 1e-10))


def restless(link):
    return BBM92.outcome_probabilities(link) * next(TURNS)


def rising(link):
    return link.loss_db / 100.0 if link.loss_db < 100.0 else 0.0


def without_source():
    profile = bbm92().profiles[0]
    fields = tuple(msgspec.structs.replace(field, source="") for field in profile.fields)
    return (msgspec.structs.replace(profile, fields=fields),)


def short(link):
    table = BBM92.outcome_probabilities(link)
    table[0, 6] *= 0.999
    return table


BROKEN = {
    "the probabilities do not add up": {"outcome_probabilities": short},
    "equal parameters give other": {"outcome_probabilities": restless},
    "more key than its limit": {"key_length": longer},
    "more loss gives more key": {"asymptotic_rate": rising},
    "is accepted": {"check": lambda link: None},
    "no profile": {"profiles": ()},
    "too many or too few": {"table": BBM92.table[1:]},
    "those of another protocol": {"profiles": BBM92.profiles, "name": "other"},
}


@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_protocol_is_told_which_promise_it_breaks(promise):
    with pytest.raises(AssertionError, match=promise):
        check_protocol(bbm92(**BROKEN[promise]))


def coherent(**changes):
    """Return CV-QKD with other functions, of a profile whose parameters name it."""

    class Own(CV_QKD.profiles[0].parameters, frozen=True, kw_only=True):
        @property
        def protocol(self):
            return made

    profile = msgspec.structs.replace(CV_QKD.profiles[0], parameters=Own)
    made = msgspec.structs.replace(CV_QKD, **({"profiles": (profile,)} | changes))
    return made


def law(**changes):
    return lambda link: CV_QKD.law(link)._replace(**changes)


def never_dark(link):
    sound = CV_QKD.law(link)
    return sound._replace(gain=max(sound.gain, 1e-3))


def key(longer=1, **changes):
    def length(tally, link):
        estimate = CV_QKD.key_length(tally, msgspec.structs.replace(link, **changes))
        return msgspec.structs.replace(estimate, length_bits=longer * estimate.length_bits)

    return length


BROKEN_LAWS = {
    "less noise than that of the vacuum": {"law": law(noise=0.9)},
    "nothing is disclosed, or all is": {"law": law(test_share=1.0)},
    "1 or 2 quadratures": {"law": law(quadratures=3)},
    "something arrives without light": {"law": never_dark},
    "more key than its limit": {"key_length": key(longer=2)},
    "there is no key at 10 dB": {
        "asymptotic_rate": lambda link: 0.0,
        "key_length": key(modulation_variance=0.02),
    },
}


@pytest.mark.parametrize("promise", BROKEN_LAWS)
def test_a_broken_protocol_of_coherent_states_is_told_which_promise_it_breaks(promise):
    with pytest.raises(AssertionError, match=promise):
        check_protocol(coherent(**BROKEN_LAWS[promise]))


def test_figures_without_source_are_not_taken():
    with pytest.raises(AssertionError, match="has no source"):
        check_protocol(bbm92(profiles=without_source()))
