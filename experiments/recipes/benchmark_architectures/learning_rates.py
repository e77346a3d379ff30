"""Learning rates of single architectures, where the evidence is beyond the noise (docs/protocol.md)."""

from metta.rl.config import TrainerConfig

LEARNING_RATES: dict[str, float] = {}
"""Key of ARCHITECTURES -> learning rate; whatever is not here has the trainer's default.

Empty: no difference between rates of one architecture has exceeded twice its standard error with the present trainer.
"""


def learning_rate(architecture: str) -> float:
    """The rate that an architecture trains with unless `trainer.learning_rate` says otherwise."""
    return LEARNING_RATES.get(architecture, TrainerConfig().learning_rate)
