"""What links can do: the closed form of every link protocol, as the link calculator shows it."""

from qstrata.core.errors import InputError
from qstrata.physics.rates.bbm92 import BBM92
from qstrata.physics.rates.cv import CV_QKD
from qstrata.physics.rates.decoy import DECOY_BB84, ONE_DECOY_BB84
from qstrata.physics.rates.heralded import BARRETT_KOK, SINGLE_CLICK
from qstrata.physics.rates.model import RateModel

RATE_MODELS: tuple[RateModel, ...] = (DECOY_BB84, ONE_DECOY_BB84, BBM92, CV_QKD, BARRETT_KOK, SINGLE_CLICK)


def rate_model(name: str) -> RateModel:
    """Return the model of a protocol. Raises InputError if there is none, naming those there are."""
    for model in RATE_MODELS:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in RATE_MODELS)
    raise InputError(f"no link protocol is called {name!r}: choose one of {known}")
