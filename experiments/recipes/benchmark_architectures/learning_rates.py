"""The learning rate of each architecture, chosen by `tuning.py --vary` with one equal budget and frozen here.

The evidence is docs/tuning.csv, and docs/tuning.md with the command; a test holds this table to it.
"""

from metta.rl.config import TrainerConfig

LEARNING_RATES: dict[str, float] = {
    "vit": 0.001,
    "vit_sliding": 0.001,
    "vit_reset": 0.001,
    "transformer": 0.001,
    "fast": 0.001,
    "fast_lstm_reset": 0.003,
    "fast_dynamics": 0.001,
    "memory_free": 0.003,
    "agalite": 0.001,
    "gtrxl": 0.001,
    "trxl": 0.003,
    "trxl_nvidia": 0.003,
    "puffer": 0.003,
}
"""Key of ARCHITECTURES -> learning rate. Others, such as your own, have the trainer's default."""


def learning_rate(architecture: str) -> float:
    """The rate that an architecture trains with unless `trainer.learning_rate` says otherwise."""
    return LEARNING_RATES.get(architecture, TrainerConfig().learning_rate)
