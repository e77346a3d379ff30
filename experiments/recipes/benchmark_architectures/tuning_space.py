"""What the tuning of the trainer varies, and how far: fields of `TrainerConfig`, for `tuning.py`."""

from metta.lab.search import Choice, Dimension, LogUniform, OneMinusLogUniform

STREAMS_AND_STEPS = ((120, 32), (120, 64), (240, 32), (240, 64), (480, 16), (480, 32), (960, 16))
MINIBATCH_SIZES = (512, 1024, 2048)
"""Agent-steps per optimiser step, about: the number of minibatches follows from it."""

SPACE: tuple[Dimension, ...] = (
    Choice(
        ("num_streams", "rollout_steps", "minibatches"),  # drawn together: minibatches split the streams
        [
            (streams, steps, max(1, streams * steps // size))
            for streams, steps in STREAMS_AND_STEPS
            for size in MINIBATCH_SIZES
        ],
    ),
    Choice(("epochs",), [(1,), (2,), (3,), (4,)]),
    Choice(("episode_steps",), [(0,), (150,), (250,), (500,)]),
    LogUniform("learning_rate", 3e-4, 4e-3),
    Choice(("final_learning_rate_share",), [(0.02,), (1.0,)]),
    LogUniform("reward_scale", 0.25, 2.0),
    LogUniform("entropy_weight", 0.005, 0.15),
    Choice(("final_entropy_share",), [(0.1,), (1.0,)]),
    OneMinusLogUniform("gamma", 0.002, 0.15),
    OneMinusLogUniform("gae_lambda", 0.02, 0.3),
    Choice(("clip",), [(0.15,), (0.264,)]),
    Choice(("value_weight",), [(0.3,), (0.9,)]),
    Choice(("max_gradient_norm",), [(0.5,), (2.0,)]),
    Choice(("normalise_advantages",), [(False,), (True,)]),
)
