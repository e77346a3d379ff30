"""The commands that plan runs: what is wrong gets one sentence, a dry run prints what would be run; neither writes."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures import adaptive, factorial, run_benchmark, tuning
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS
from metta.cli.main import resolve
from tests.lab.stand_ins import Here

SMALL = ("--architectures", "vit,fast", "--levels", "level_1_basic")
Command = tuple[Callable[[Sequence[str]], int], Sequence[str]]
BENCHMARK: Command = (run_benchmark.main, SMALL)
ADAPTIVE: Command = (adaptive.main, ("--experiment-id", "x", *SMALL, "--timesteps", "300", "--seeds-per-level", "1"))
LOCAL: Command = (adaptive.main, (*ADAPTIVE[1], "--local"))
SLURM: Command = (adaptive.main, (*ADAPTIVE[1], "--launcher", "slurm"))
FACTORIAL: Command = (factorial.main, ())
TUNING: Command = (tuning.main, (*SMALL, "--vary", "learning_rate=0.001,0.002", "--timesteps", "200"))

OF_ALL = [
    (["--architectures", "vitt"], "did you mean 'vit'"),
    (["--architectures", ","], "names nothing"),
    (["--levels", "level_1"], "did you mean 'level_1_basic'"),
    (["--first-seed", "-1"], "--first-seed: must be a whole number of at least 0"),
    (["trainer.learning_rat=1"], "did you mean 'trainer.learning_rate'"),
    (["--unknown"], "there is no flag --unknown; settings of a run are given as key=value"),
    (["--level", "level_1_basic"], "did you mean --levels?"),
    (["trainer.total_timesteps=5"], "trainer.total_timesteps is set by"),
]
OF_ONE = [
    (BENCHMARK, ["--price-per-hour", "2"], "--price-per-hour is for what --dry-run prints; give --dry-run, too"),
    (BENCHMARK, ["--steps-per-second", "2"], "--steps-per-second is for what --dry-run prints"),
    (BENCHMARK, ["--price-per-hour", "inf"], "--price-per-hour: must be a number of at least 1e-09"),
    (BENCHMARK, ["--max-timesteps", "many"], "--max-timesteps: must be a whole number of at least 1"),
    (BENCHMARK, ["--max-timesteps", "2000000000000000"], "less than or equal to 1000000000000000"),
    (BENCHMARK, ["--steps", "5"], "there is no flag --steps; did you mean --max-timesteps?"),
    (LOCAL, ["--steps", "5"], "there is no flag --steps; did you mean --timesteps?"),
    (BENCHMARK, ["--seeds", "0"], "--seeds: must be a whole number of at least 1"),
    (BENCHMARK, ["--parallel", "0"], "--parallel: must be a whole number of at least 1"),
    (BENCHMARK, ["--first-seed", str(2**63 - 2)], f"seed: input should be less than {2**63}"),
    (BENCHMARK, ["trainer.learning_rate=-1"], "greater than 0"),
    (BENCHMARK, ["--output-dir", "~no-such-user/x"], "there is no home folder for ~no-such-user"),
    (BENCHMARK, ["--output-dir", "a_file"], "cannot write to the folder a_file"),
    (BENCHMARK, ["--replays", "some"], "--replays"),
    (LOCAL, ["--resource", "partition=gpu"], "--resource is for --launcher slurm and --launcher skypilot"),
    (LOCAL, ["--launcher", "slurm"], "exclude each other"),
    (LOCAL, ["--experiment-id", "../x"], "use letters, digits, _ and - only"),
    (LOCAL, ["--max-parallel", "0"], "--max-parallel: must be a whole number of at least 1"),
    (LOCAL, ["--retries", "-1"], "--retries: must be a whole number of at least 0"),
    (LOCAL, ["--heartbeat-timeout", "1"], "--heartbeat-timeout: must be a number of at least 30"),
    (LOCAL, ["--results-root", "nowhere://b"], "use s3://, gs:// or az://, or a local path"),
    (LOCAL, ["--results-root", "memory://"], "names no folder in a bucket"),
    (LOCAL, ["--results-root", "gs://b"], "needs a further package: `uv pip install gcsfs`"),
    (LOCAL, ["evaluate=false"], "evaluate cannot be set"),
    (LOCAL, ["--until-decided", "0"], "--until-decided: must be a whole number of at least 1"),
    (LOCAL, ["--until-decided", "5", "--skip-training"], "leave out --skip-training"),
    (SLURM, ["--resource", "partition"], "--resource 'partition' is not KEY=VALUE"),
    (SLURM, ["--resource", "time=long"], "--resource time=long must be a whole number of minutes"),
    (SLURM, ["--resource", "qos=a", "--resource", "qos=b"], "--resource qos is given twice"),
    (SLURM, ["--cpus-per-job", "0"], "--cpus-per-job: must be a whole number of at least 1"),
    (TUNING, ["--first-seed", "0"], "seed 0 may be used by published runs; seeds of tuning are 1000 to 1999"),
    (TUNING, ["--first-seed", "1999", "--seeds", "2"], "seed 2000 may be used by published runs"),
    (TUNING, ["evaluation.seed=20260101"], "evaluation.seed is given twice"),
    (TUNING, ["trainer.learning_rate=0.9"], "trainer.learning_rate is given twice"),
    (TUNING, ["--vary", "gama=1,2"], "did you mean 'trainer.gamma'"),
    (TUNING, ["--vary", "gamma=0.9,2"], "gamma"),
    (TUNING, ["--vary", "gamma=0.9,0.8", "trainer.gamma=0.7"], "trainer.gamma is given twice"),
    (TUNING, ["--output", "a_file"], "cannot write to the folder a_file"),
    (FACTORIAL, ["--memories", "lstn,none"], "did you mean 'lstm'"),
    (FACTORIAL, ["--perceptions", "cnn"], "two of each are the least"),
    (FACTORIAL, ["--architectures", "fast"], "--architectures"),
]


@pytest.mark.parametrize(
    ("command", "words", "sentence"),
    [*((command, *case) for command in (BENCHMARK, LOCAL, TUNING) for case in OF_ALL), *OF_ONE],
)
def test_wrong_flags_get_one_sentence_and_write_nothing(
    here: Here, capsys: pytest.CaptureFixture[str], command: Command, words: list[str], sentence: str
) -> None:
    Path("a_file").write_text("")
    main, given = command
    assert main([*given, *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["a_file"]


@pytest.mark.parametrize(
    ("main", "words", "runs"),
    [
        (run_benchmark.main, ["--commands"], 3 * len(ARCHITECTURES) * len(LEVELS)),
        (adaptive.main, ["--experiment-id", "x", "--commands"], 3 * len(ARCHITECTURES) * len(LEVELS)),
        (tuning.main, ["--vary", "gamma=0.9,0.95"], 2 * len(ARCHITECTURES)),
    ],
)
def test_a_dry_run_prints_every_command_as_it_can_be_typed(
    here: Here, capsys: pytest.CaptureFixture[str], main: Callable[[Sequence[str]], int], words: list[str], runs: int
) -> None:
    assert main([*words, "--dry-run"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert len(set(lines)) == len(lines) == runs
    assert all(line.startswith("uv run ./tools/run.py ") for line in lines)
    for line in lines[::40]:
        assert resolve(shlex.split(line)[3:]).config.run in line
    assert list(Path().iterdir()) == []
