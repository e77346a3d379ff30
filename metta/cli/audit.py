"""Checks every source of randomness: `uv run python -m metta.cli.audit [--recipe PATH] [--other-seed N] [key=value]`.

Runs a small training of the recipe three times (twice with its seed, once with another) and prints, for weights,
worlds, curriculum, action sampling, minibatches, the whole run and the evaluation, whether equal seeds gave equal
results and different seeds different ones. Exit status 0 if all did, 1 if one did not, 2 for wrong input.
"""

import sys
from collections.abc import Sequence

from metta.analysis.summary import aligned_table
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser, at_least
from metta.cli.main import resolve
from metta.lab.training import TrainJob
from metta.rl.config import RunConfig

RECIPE = "experiments.recipes.benchmark_architectures.level_5_expert.train"
SMALL = {
    "arch_type": "fast",
    "seed": "0",
    "trainer.total_timesteps": "2000",
    "trainer.num_streams": "48",
    "trainer.rollout_steps": "16",
    "sim.max_steps": "40",
    "evaluation.worlds": "2",
    "system.device": "cpu",
    "system.threads": "1",
}
"""Settings that make a run of a level small; key=value words replace them."""


def small_run(recipe: str, words: Sequence[str]) -> RunConfig:
    """The small run of a recipe with further settings; evaluation episodes are as long as training episodes.

    Raises:
        InputError: an unknown recipe or setting.
    """
    given = {word.partition("=")[0] for word in words}
    job = resolve([recipe, *(f"{key}={value}" for key, value in SMALL.items() if key not in given), *words])
    if not isinstance(job, TrainJob):
        raise InputError(f"{recipe} does not train; give the path of a train function.")
    config = job.config
    short = {
        name: sim.model_copy(update={"max_steps": config.sim.max_steps})
        for name, sim in config.evaluation_environments.items()
    }
    return config.model_copy(update={"evaluation_environments": short})


def main(arguments: Sequence[str] | None = None) -> int:
    """Check and print; returns the exit status."""
    parser = Parser(prog="python -m metta.cli.audit", description=str(__doc__))
    parser.add_argument("--recipe", default=RECIPE, help="path of a train function")
    parser.add_argument("--other-seed", type=at_least(0), default=1, help="seed to compare with")
    parser.add_argument("settings", nargs="*", help="key=value settings of the run")
    given = parser.parse_args(arguments)
    config = small_run(given.recipe, given.settings)
    if given.other_seed == config.seed:
        raise InputError(f"--other-seed must differ from seed={config.seed}.")

    from metta.rl.audit import audit

    findings = audit(config, given.other_seed)
    verdict = {True: "yes", False: "NO"}
    rows = [
        [one.source, verdict[one.equal_seeds_agree], verdict[one.different_seeds_differ], one.fingerprint]
        for one in findings
    ]
    print(f"{config.architecture} on {config.level}, seeds {config.seed} and {given.other_seed}\n")
    head = ["source", "equal seeds agree", "different seeds differ", f"fingerprint of seed {config.seed}"]
    print("\n".join(aligned_table(head, rows)))
    return 0 if all(one.sound for one in findings) else 1


if __name__ == "__main__":
    sys.exit(report_errors(main))
