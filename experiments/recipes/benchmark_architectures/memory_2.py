"""Rung 2 of the memory ladder: a cue of one step decides what pays 64 steps later."""

from experiments.recipes.benchmark_architectures.rung import Rung

LEVEL = Rung(
    name="memory_2",
    purpose=(
        "Whether a cue is kept for 64 steps, two training segments: no gradient of one segment reaches from the "
        "payment back to the cue."
    ),
    wait=64,
)

train = LEVEL.train
evaluate = LEVEL.evaluate
probe = LEVEL.probe
play = LEVEL.play
replay = LEVEL.replay
make_env = LEVEL.make_env
make_evals = LEVEL.make_evals
