"""Rung 1 of the memory ladder: a cue of one step decides what pays 16 steps later."""

from experiments.recipes.benchmark_architectures.rung import Rung

LEVEL = Rung(
    name="memory_1",
    purpose=(
        "Whether a cue is kept at all: an altar pays only for the action that a cue named 16 steps before, about half "
        "a training segment."
    ),
    wait=16,
)

train = LEVEL.train
evaluate = LEVEL.evaluate
probe = LEVEL.probe
play = LEVEL.play
replay = LEVEL.replay
make_env = LEVEL.make_env
make_evals = LEVEL.make_evals
