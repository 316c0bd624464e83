"""Decoy-state BB84, with two decoys or with one, as a key protocol of links."""

from qstrata.physics.attacks import double_click_probability
from qstrata.physics.counts import outcome_probabilities
from qstrata.physics.finite_key import asymptotic_length_rate, key_length_bits
from qstrata.physics.parameters import PARAMETERS, LinkParameters, check_parameters
from qstrata.physics.profiles import PROFILES
from qstrata.physics.protocols.model import LinkProtocol
from qstrata.physics.side_channels import device_odds

DECOY_BB84: LinkProtocol[LinkParameters] = LinkProtocol(
    name="decoy-bb84",
    summary="decoy-state BB84 with two decoys, or with one where no vacuum pulses are sent",
    source="Ma et al. 2005 (model of the link); Lim et al. 2014, Rusca et al. 2018 (finite size)",
    table=PARAMETERS,
    profiles=PROFILES,
    check=check_parameters,
    outcome_probabilities=outcome_probabilities,
    double_click_probability=double_click_probability,
    key_length=key_length_bits,
    asymptotic_rate=asymptotic_length_rate,
    device_odds=device_odds,
)
