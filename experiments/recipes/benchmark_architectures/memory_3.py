"""Rung 3 of the memory ladder: a cue of one step decides what pays 256 steps later."""

from experiments.recipes.benchmark_architectures.rung import Rung

LEVEL = Rung(
    name="memory_3",
    purpose="Whether a cue is kept for 256 steps, eight training segments.",
    wait=256,
)

train = LEVEL.train
evaluate = LEVEL.evaluate
probe = LEVEL.probe
play = LEVEL.play
replay = LEVEL.replay
make_env = LEVEL.make_env
make_evals = LEVEL.make_evals
