"""Learning rates of single architectures, where the evidence is beyond the noise (docs/protocol.md)."""

from collections.abc import Iterable

from metta.rl.config import TrainerConfig

LEARNING_RATES: dict[str, float] = {}
"""Key of ARCHITECTURES -> learning rate; whatever is not here has the trainer's default.

Empty: no difference between rates of one architecture has exceeded twice its standard error with the present trainer.
"""


def learning_rate(architecture: str) -> float:
    """The rate that an architecture trains with unless `trainer.learning_rate` says otherwise."""
    return LEARNING_RATES.get(architecture, TrainerConfig().learning_rate)


def untuned(architectures: Iterable[str]) -> list[str]:
    """Those that have the trainer's default where others have a rate of their own; none where all have the default."""
    return [name for name in architectures if LEARNING_RATES and name not in LEARNING_RATES]
