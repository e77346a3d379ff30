"""Breaks the simulator on purpose, one line at a time, and checks that its tests notice.

    uv run python -m tests.mutations [--list] [--only WORD ...]

Each mutation is applied alone to a temporary copy of the repository's metta/ and tests/; the simulator's tests must
then fail there ("killed"). Prints one line per mutation. Exit status 1 if one survives, 2 if a mutation's old text is
not in the source exactly once or if the tests fail without any mutation.

The kernels run uncompiled, as the plain Python they are: most mutations are found within seconds, less than compiling
takes.
"""

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # read by numba when it is imported
os.environ["OMP_NUM_THREADS"] = "1"

# Imported here for the forked children, which take them over instead of loading them once per mutation.
import hypothesis  # noqa: F401
import numba.extending  # noqa: F401
import numpy  # noqa: F401
import pydantic  # noqa: F401
import pytest

from metta.base.endings import report_errors
from metta.base.flags import Parser

REPOSITORY = Path(__file__).parents[1]
CASES = [(flavour, seed) for seed in range(4) for flavour in ("odd", "brawl", "workshop", "corridor", "arena")]
TESTS = (
    "tests/sim/test_twin.py::test_directed_cases",
    *(f"tests/sim/test_twin.py::test_random_cases[{flavour}-{seed}]" for flavour, seed in CASES),
    "tests/sim/test_properties.py::test_no_step_is_lost_or_reported_twice",
    "tests/sim/test_properties.py::test_action_orders_differ_between_steps_worlds_and_seeds",
    "tests/sim/test_properties.py::test_action_order_is_uniform",
    "tests/sim/test_vector_env.py::test_cut_off_lengths_in_few_steps",
    "tests/sim/test_variants.py::test_variants_in_few_steps",
)
TIME_LIMIT = 600  # seconds of processor time; tests that hang count as failed
UNUSABLE = 99  # exit status of a child that could not run the tests


@dataclass(frozen=True)
class Mutation:
    """One line made wrong: `old`, which stands exactly once in metta/sim/`file`, becomes `new`."""

    topic: str
    file: str
    old: str
    new: str

    @property
    def source(self) -> Path:
        """Path relative to the repository."""
        return Path("metta/sim") / self.file

    def __str__(self) -> str:
        return f"{self.topic}: {self.file}: {self.old.strip()!r} -> {self.new.strip()!r}"


PENALTY = "rewards[agent] -= rules.failure_penalty"

MUTATIONS = (
    Mutation("move", "actions.py", "return 1 <= occupant <= rules.num_agents", "return False"),
    Mutation("move", "actions.py", "new_row = row + ROW_STEP[orientation]", "new_row = row - ROW_STEP[orientation]"),
    Mutation("thaw", "actions.py", "world.entities[agent, FROZEN] -= 1", "world.entities[agent, FROZEN] -= 2"),
    Mutation("penalty", "actions.py", f"{PENALTY}\n    {PENALTY}", PENALTY),
    Mutation("put_items", "actions.py", "world.entities[agent, ITEMS + item], room)", "room)"),
    Mutation(
        "put_items", "actions.py", "room = MAX_AMOUNT - world.entities[entity, ITEMS + item]", "room = MAX_AMOUNT"
    ),
    Mutation(
        "get_items",
        "actions.py",
        "if rules.kinds[kind, RECIPE_OUT + item] > 0:",
        "if rules.kinds[kind, RECIPE_OUT + item] + rules.kinds[kind, RECIPE_IN + item] > 0:",
    ),
    Mutation("limits", "inventory.py", "rules.amounts[HELD_LIMIT, item] -", "rules.amounts[HELD_LIMIT, item] + 1 -"),
    Mutation("theft", "combat.py", "if not was_frozen and target != attacker:", "if target != attacker:"),
    Mutation("scan", "combat.py", "aside = -1 if place == 2 else place", "aside = 1 if place == 2 else -place"),
    Mutation("scan", "combat.py", "if seen:", "if False:"),
    Mutation("scan", "combat.py", "found += 1\n    return target", "found += 1\n    return NOBODY"),
    Mutation("armor", "combat.py", "return needed > 0", "return needed > 1"),
    Mutation("freeze", "combat.py", "= rules.freeze_duration", "= rules.freeze_duration + 1"),
    Mutation(
        "stale tokens", "combat.py", "world.entities[target, FACE_STALE] = 1", "world.entities[target, FACE_STALE] += 0"
    ),
    Mutation(
        "converter",
        "converters.py",
        "outputs < rules.kinds[kind, MAX_OUTPUT]",
        "outputs <= rules.kinds[kind, MAX_OUTPUT]",
    ),
    Mutation("converter", "converters.py", "and conversions_left <= 0:", "and conversions_left < 0:"),
    Mutation(
        "converter", "converters.py", "if rules.kinds[kind, COOLDOWN] > 0:", "if rules.kinds[kind, COOLDOWN] > 1:"
    ),
    Mutation("converter", "converters.py", "world.clock[STEP] + steps", "world.clock[STEP] + steps + 1"),
    Mutation("reward", "rewards.py", "min(worth, rules.rewards[r, CAP])", "worth"),
    Mutation("reward", "rewards.py", "world.account[agent, POTENTIAL] = new", "world.account[agent, POTENTIAL] += 0.0"),
    Mutation("reward", "world_arrays.py", "rewarded = sorted(weights)", "rewarded = sorted(weights, reverse=True)"),
    Mutation(
        "reward", "episode_start.py", "world.account[agent, POTENTIAL] = 0.0", "world.account[agent, POTENTIAL] += 0.0"
    ),
    Mutation("token order", "window.py", "offset[0], offset[1])", "offset[1], offset[0])"),
    Mutation("completion", "observations.py", "(2 * 255 * step + max_steps)", "(2 * 255 * step)"),
    Mutation("last action", "observations.py", "return action - FIRST_MOVE", "return action"),
    Mutation("last reward", "observations.py", "np.float32(100.0)", "np.float32(10.0)"),
    Mutation(
        "cut", "observations.py", "end = min(position + TOKEN_BYTES * tokens, out.shape[0])", "end = out.shape[0]"
    ),
    Mutation(
        "busy",
        "faces.py",
        "world.entities[entity, CONVERTING] + world.entities[entity, COOLING]",
        "world.entities[entity, CONVERTING]",
    ),
    Mutation("wide maps", "occupancy.py", "if word > 0:", "if word > 1:"),
    Mutation(
        "step order",
        "step.py",
        "observe_world(rules, world, window, rewards, observations)\n    pay_changes(rules, world, rewards)\n",
        "pay_changes(rules, world, rewards)\n    observe_world(rules, world, window, rewards, observations)\n",
    ),
    Mutation("step order", "step.py", "if is_attack(actions[agent]):", "if is_valid(actions[agent]):"),
    Mutation("step order", "step.py", "other = below(state, place + 1)", "other = below(state, place)"),
    Mutation(
        "step order",
        "episode_start.py",
        "stream(seed, index, episode, PURPOSE_ORDER)",
        "stream(seed, 0, episode, PURPOSE_ORDER)",
    ),
    Mutation(
        "episode end",
        "step.py",
        "return world.clock[STEP] >= world.clock[LAST_STEP]",
        "return world.clock[STEP] > world.clock[LAST_STEP]",
    ),
    Mutation(
        "episode end",
        "step.py",
        "return rules.truncates or world.clock[LAST_STEP] < rules.max_steps",
        "return rules.truncates",
    ),
    Mutation("episode end", "vector_env.py", "clock[done, EPISODE] + 1, False)", "clock[done, EPISODE], False)"),
    Mutation("episode end", "episode_start.py", "world.counters[agent] = 0", "world.counters[agent] += 0"),
    Mutation("cut-off", "episode_start.py", "world.clock[LAST_STEP] = longest", "world.clock[LAST_STEP] = longest - 1"),
    Mutation("cut-off", "episode_start.py", "below(length_state, longest)", "below(length_state, rules.max_steps)"),
    Mutation("cut-off", "episode_start.py", "1 + below(length_state", "below(length_state"),
    Mutation(
        "cut-off", "vector_env.py", "min(episode_steps or config.max_steps, config.max_steps)", "config.max_steps"
    ),
    Mutation(
        "variants",
        "step.py",
        "own = rules_of(rules, world.clock[VARIANT])\n            tick(",
        "own = rules_of(rules, 0)\n            tick(",
    ),
    Mutation(
        "variants",
        "step.py",
        "own = rules_of(rules, world.clock[VARIANT])\n    return start",
        "own = rules_of(rules, 0)\n    return start",
    ),
    Mutation(
        "variants", "episode_start.py", "WORLD_INDEX], episode, PURPOSE_VARIANT", "WORLD_INDEX], 0, PURPOSE_VARIANT"
    ),
    Mutation("variants", "variants.py", "rules.kinds[variant]", "rules.kinds[0]"),
    Mutation("variants", "variants.py", "rules.amounts[variant]", "rules.amounts[0]"),
    Mutation("variants", "variants.py", "thresholds[variant] <= uniform", "thresholds[variant] > uniform"),
    Mutation(
        "variants",
        "episode_start.py",
        "world.clock[WORLD_INDEX], episode, PURPOSE_VARIANT",
        "0, episode, PURPOSE_VARIANT",
    ),
)


def misfits(mutations: Sequence[Mutation], root: Path) -> list[str]:
    """One sentence per mutation that does not fit the sources under `root`."""
    sentences = []
    for mutation in mutations:
        path = root / mutation.source
        count = path.read_text().count(mutation.old) if path.exists() else 0
        if count != 1:
            sentences.append(f"{mutation.source} holds {mutation.old.strip()!r} {count} times instead of once.")
        if mutation.old == mutation.new:
            sentences.append(f"{mutation.source}: {mutation.old.strip()!r} is not changed.")
    return sentences


def copy_sources(source: Path, target: Path) -> None:
    """The parts of a repository that the tests need, without anything compiled."""
    without = shutil.ignore_patterns("__pycache__")
    for package in ("metta", "tests"):
        shutil.copytree(source / package, target / package, ignore=without)
    shutil.copy2(source / "pyproject.toml", target)


def run_tests(root: Path, output: Path) -> int:
    """Run the simulator's tests in the copy at `root`, in this process; returns pytest's exit status."""
    os.chdir(root)
    sys.path.insert(0, str(root))
    with output.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_LIMIT, TIME_LIMIT))
    import metta

    if not Path(metta.__file__).resolve().is_relative_to(root.resolve()):
        print(f"FAILED to import the copy: {metta.__file__} was imported")
        return UNUSABLE
    # Uncompiled, the wrapping of 64-bit random numbers is worth a warning to numpy.
    options = ["-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning"]
    return int(pytest.main([*options, *TESTS]))


def try_mutation(mutation: Mutation | None, sources: Path) -> tuple[bool, str, float]:
    """Whether the tests pass with this mutation (None: without any), why not, and the seconds it took.

    A forked child runs them: it has the libraries already but has never seen the simulator. Raises SystemExit if the
    tests could not be run.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        root = Path(folder)
        copy_sources(sources, root)
        if mutation is not None:
            path = root / mutation.source
            path.write_text(path.read_text().replace(mutation.old, mutation.new))
        output = root / "output.txt"
        child = os.fork()
        if child == 0:
            status = UNUSABLE
            try:
                status = run_tests(root, output)
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        text = output.read_text() if output.exists() else ""
    if status not in (0, 1, -signal.SIGXCPU, -signal.SIGKILL):
        raise SystemExit(f"the tests could not be run (status {status}):\n{text[-2000:]}")
    lines = [line.split(" - ")[0] for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    reason = lines[0] if lines else f"no end within {TIME_LIMIT} s of processor time"
    return status == 0, reason, time.monotonic() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = Parser("python -m tests.mutations", str(__doc__).splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the mutations and check that they fit, run nothing")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only mutations whose description has one of these")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTATIONS if not options.only or any(word in str(m) for word in options.only)]
    with tempfile.TemporaryDirectory(prefix="sources-") as folder:
        sources = Path(folder)  # what is tested stays the same while somebody edits the repository
        copy_sources(REPOSITORY, sources)
        problems = misfits(chosen, sources)
        if problems:
            print("\n".join(problems), file=sys.stderr)
            return 2
        if options.list:
            print("\n".join(str(mutation) for mutation in chosen))
            return 0
        return try_all(chosen, sources)


def try_all(chosen: Sequence[Mutation], sources: Path) -> int:
    """Try every chosen mutation of `sources` and print what came of it; returns the exit status."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("metta", "tests")]:
        del sys.modules[name]  # the children import the copies
    passed, reason, seconds = try_mutation(None, sources)
    if not passed:
        print(f"The tests fail without any mutation ({reason}); nothing can be learnt from mutations.", file=sys.stderr)
        return 2
    print(f"unchanged  {seconds:4.0f} s  all tests pass", flush=True)
    survivors = 0
    for mutation in chosen:
        passed, reason, seconds = try_mutation(mutation, sources)
        survivors += passed
        verdict = "SURVIVED" if passed else "killed"
        print(f"{verdict:9s}  {seconds:4.0f} s  {mutation}{'' if passed else f'  [{reason}]'}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutations killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(report_errors(main))
