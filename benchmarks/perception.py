"""How fast an architecture learns to see what stands in front of it, for several ways to start it.

    uv run python benchmarks/perception.py [--architecture fast] [--observations 240000]

The question "is there a converter with something to take in the cell that I face?" is answered from single
observations of randomly played worlds of level 1, by supervised learning with the answer known for every one: one pass,
minibatches of 480, Adam with 1e-3. Reinforcement learning must learn the same from a few rewards, so what is slow here
is hopeless there. The figure is the cross-entropy on other worlds, relative to always answering with the base rate.

Settings: the suite's own; without the front view (metta/agent/front.py); with the design page's feature scales (types
1, amounts 100); with feature embeddings of standard deviation 0.02, where the perception has them; with an LSTM whose
input matrices have gain 1; with all LSTM biases 1; and all but the first without the front view. The last line is JSON.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, one_of

MINIBATCH, LEARNING_RATE, STEPS, EVERY = 480, 1e-3, 1000, 10
Change = Callable[[Any, Any], int]
TYPES_WITH_OUTPUT = {2: 17, 5: 20, 8: 23, 15: 25, 16: 24}
"""Type id -> feature of its output inside: mine, generator, altar, lasery, armory."""


def main() -> None:
    """Measure and print."""
    from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES

    parser = Parser("perception.py", str(__doc__))
    parser.add_argument("--architecture", type=one_of(ARCHITECTURES), default="fast", help="key of ARCHITECTURES")
    parser.add_argument("--observations", type=at_least(1), default=240_000, help="observations to learn from")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    from experiments.recipes.benchmark_architectures.level_1_basic import make_env
    from metta.rl.config import TrainerConfig
    from metta.rl.specs import spec_of

    spec = spec_of(make_env(), TrainerConfig())
    no_front_view = {"front_view": False}
    scales = list(spec.feature_scales)
    scales[0], scales[17:27] = 1.0, [100.0] * 10
    design = spec.model_copy(update={"feature_scales": tuple(scales)})
    config = ARCHITECTURES[arguments.architecture]
    settings: dict[str, tuple[Any, list[Change]]] = {
        "as it is": (spec, []),
        "no front view": (spec.model_copy(update=no_front_view), []),
        "feature scales 1 and 100": (design, []),
        "feature embeddings of 0.02": (spec, [_faint_embeddings]),
        "LSTM input gain 1": (spec, [_low_gain]),
        "LSTM biases 1": (spec, [_biased]),
        "all of these": (design.model_copy(update=no_front_view), [_faint_embeddings, _low_gain, _biased]),
    }
    learn_from = _questions(seed=1, count=arguments.observations)
    held_out = _questions(seed=2, count=20_000)
    results = {}
    for name, (chosen, changes) in settings.items():
        policy = config.build(chosen, seed=0)
        with torch.no_grad():
            changed = sum([change(policy, config) for change in changes])
        if changes and not changed:
            continue
        results[name] = _learn(policy, learn_from, held_out)
        print(f"{name:<26} relative cross-entropy {results[name]:.3f}", flush=True)
    print(json.dumps({"benchmark": "perception", "architecture": arguments.architecture, "results": results}))


def _questions(seed: int, count: int) -> tuple[Any, Any]:
    """Observations uint8 [count, M, 3] and answers float32 [count]."""
    import numpy as np
    import torch

    from experiments.recipes.benchmark_architectures.level_1_basic import make_env
    from metta.sim.constants import NUM_ACTIONS
    from metta.sim.vector_env import VectorEnv

    sim = make_env()
    env = VectorEnv(sim, num_worlds=-(-count // (sim.num_agents * (STEPS // EVERY))), seed=seed)
    env.reset()
    generator = np.random.default_rng(seed)
    seen = []
    for step in range(STEPS - 1):
        if step % EVERY == 0:
            seen.append(env.buffers.observations.copy())
        env.step(generator.integers(NUM_ACTIONS, size=env.num_streams).astype(np.int32))
    observations = np.concatenate(seen)[:count]
    return torch.from_numpy(observations), torch.from_numpy(_answers(observations))


def _answers(observations: Any) -> Any:
    """Whether the faced cell has a converter with its output inside, float32 [n]."""
    import numpy as np

    location, feature, value = (observations[..., i].astype(np.int64) for i in range(3))
    own = (location == 85) & (feature == 3)
    orientation = value[np.arange(len(value)), own.argmax(1)]
    row = 5 + np.array([-1, 1, 0, 0])[orientation]
    column = 5 + np.array([0, 0, -1, 1])[orientation]
    faced = location == (row << 4 | column)[:, None]
    answer = np.zeros(len(value), bool)
    for type_id, output in TYPES_WITH_OUTPUT.items():
        is_type = (faced & (feature == 0) & (value == type_id)).any(1)
        answer |= is_type & (faced & (feature == output)).any(1)
    return answer.astype(np.float32)


def _faint_embeddings(policy: Any, config: Any) -> int:
    """Make feature embeddings start small; returns how many there are."""
    found = [parameter for name, parameter in policy.encoder.named_parameters() if name == "feature_embedding"]
    for parameter in found:
        parameter.div_(parameter.std()).mul_(0.02)
    return len(found)


def _low_gain(policy: Any, config: Any) -> int:
    """Make an LSTM's input matrices start with gain 1; returns how many there are."""
    found = [parameter for name, parameter in policy.memory.named_parameters() if name.startswith("weight_ih_l")]
    for parameter in found:
        parameter.div_(config.memory.input_gain)
    return len(found)


def _biased(policy: Any, config: Any) -> int:
    """Make all biases of an LSTM start at 1; returns how many there are."""
    prefixes = ("bias_ih_l", "bias_hh_l")
    found = [parameter for name, parameter in policy.memory.named_parameters() if name.startswith(prefixes)]
    for parameter in found:
        parameter.fill_(1.0)
    return len(found)


def _learn(policy: Any, learn_from: tuple[Any, Any], held_out: tuple[Any, Any]) -> float:
    """Relative cross-entropy on `held_out` after one pass; the answer is read from the logit of get_items."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    from metta.sim.constants import ACTION_NAMES

    get_items = ACTION_NAMES.index("get_items")

    def answer(observations: Any) -> Any:
        count = len(observations)
        resets = torch.zeros(count, 1, dtype=torch.bool)
        return policy(observations.unsqueeze(1), resets, policy.initial_state(count)).logits[:, 0, get_items]

    parameters = list(policy.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    observations, answers = learn_from
    order = torch.randperm(len(answers), generator=torch.Generator().manual_seed(0))
    for chosen in order.split(MINIBATCH):
        loss = cross_entropy(answer(observations[chosen]), answers[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()
    observations, answers = held_out
    with torch.no_grad():
        logits = torch.cat([answer(part) for part in observations.split(2000)])
        base = answers.mean().logit().expand_as(logits)
        return float(cross_entropy(logits, answers) / cross_entropy(base, answers))


if __name__ == "__main__":
    sys.exit(report_errors(main))
