"""The command line of tools/run.py: help, list, dry run, typed values, and one sentence for every wrong input."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.endings import report_errors
from metta.base.provenance import REPOSITORY
from metta.cli.main import USAGE, main, resolve
from metta.cli.values import OTHER_NAMES, known_keys

PACKAGE = "experiments.recipes.benchmark_architectures"
TRAIN = f"{PACKAGE}.level_1_basic.train"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in an empty folder, where anything they write is seen."""
    monkeypatch.chdir(tmp_path)


def test_without_arguments_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out == USAGE
    assert main(["--help"]) == 0


def test_list_names_every_verb_of_every_level(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    paths = [line for line in lines if not line.startswith(" ")]
    assert max(map(len, lines)) <= 80
    verbs = ("train", "evaluate", "probe", "replay", "play", "make_env", "make_evals")
    assert set(paths) == {f"{PACKAGE}.{level}.{verb}" for level in KNOWN_LEVELS for verb in verbs}


def test_help_lists_every_key_with_type_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([TRAIN, "--help"]) == 0
    output = capsys.readouterr().out
    assert "  seed = 0\n      (integer) reaches weights" in output
    assert "  trainer.total_timesteps = 1000000\n      (integer >= 1 and <= 1000000000000000) Agent-steps" in output
    assert "  system.device = auto\n      (auto | cpu | cuda) " in output
    assert max(len(line) for line in output.splitlines() if " = " not in line) <= 80
    listed = [line.split(" = ")[0].strip() for line in output.splitlines() if line.startswith("  ") and " = " in line]
    lines = output.split("Parameters:")[1].splitlines()
    for number, line in enumerate(lines):
        is_key = line.startswith("  ") and not line.startswith("   ")
        if is_key and not line.strip().split(" = ")[0].endswith((".kind", ".type")):
            assert lines[number + 1].startswith("      "), f"{line} has no meaning"
    configuration = resolve([TRAIN]).config.model_dump()
    for part in ("trainer", "evaluation", "system"):
        for name in configuration[part]:
            assert f"{part}.{name}" in listed


def test_commands_import_nothing_heavy() -> None:
    program = (
        "import sys; from metta.cli.main import main; main(['--list']); main([sys.argv[1], '--dry-run'])\n"
        "import experiments.recipes.benchmark_architectures.run_benchmark\n"
        "import experiments.recipes.benchmark_architectures.adaptive\n"
        "heavy = {'torch', 'numba', 'numpy', 'gymnasium', 'pettingzoo', 'altair', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program, TRAIN], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)


def test_dry_run_prints_the_resolved_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [TRAIN, "run=x", "arch_type=fast", "seed=3", "trainer.total_timesteps=1e6", "system.threads=1"]
    assert main([*words, "--dry-run"]) == 0
    config = json.loads(capsys.readouterr().out)
    assert config["run"] == "x"
    assert config["architecture"] == "fast"
    assert config["seed"] == 3
    assert config["trainer"]["total_timesteps"] == 1_000_000
    assert config["system"]["threads"] == 1
    assert list(tmp_path.iterdir()) == []


def test_recipes_that_return_configurations_print_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{PACKAGE}.level_3_medium.make_evals"]) == 0
    evals = json.loads(capsys.readouterr().out)
    assert [evals[name]["actions"]["attack"]["consumed_resources"]["laser"] for name in ("basic", "combat")] == [100, 1]
    assert main([f"{PACKAGE}.level_3_medium.make_env", "seed=3"]) == 2


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["trainer.learning_rate=3e-4"], "trainer.learning_rate", 3e-4),
        (["trainer.normalise_advantages=false"], "trainer.normalise_advantages", False),
        (["trainer.total_timesteps=2_000"], "trainer.total_timesteps", 2000),
        (["trainer={'epochs': 2}"], "trainer.epochs", 2),
        (["policy.memory.num_layers=2"], "policy.memory.num_layers", 2),
        (["policy.memory.kind=none"], "policy.memory", {"kind": "none"}),
        (["policy.memory.width=96", "policy.memory.kind=lstm"], "policy.memory.width", 96),
        (["policy.actor.hidden=[8, 4]"], "policy.actor.hidden", [8, 4]),
        (['sim.agent.initial_inventory={"heart": 2}'], "sim.agent.initial_inventory", {"heart": 2}),
        (["sim.objects.altar.cooldown=0"], "sim.objects.altar.cooldown", 0),
        (["sim.agent.rewards.inventory.heart=2"], "sim.agent.rewards.inventory.heart", 2.0),
        (["evaluation_environments.basic.max_steps=9"], "evaluation_environments.basic.max_steps", 9),
        (["run=007"], "run", "007"),
    ],
)
def test_values_are_typed_by_the_field_they_go_to(
    capsys: pytest.CaptureFixture[str], words: list[str], key: str, value: object
) -> None:
    assert main([TRAIN, *words, "--dry-run"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in key.split("."):
        found = found[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([TRAIN, "sed=3"], "unknown key 'sed'; did you mean 'seed'? Allowed here: run, policy_architecture"),
        ([TRAIN, "trainer.total_timestep=5"], "did you mean 'trainer.total_timesteps'? Allowed here: trainer."),
        ([TRAIN, "total_timesteps=5"], "did you mean 'trainer.total_timesteps'"),
        ([TRAIN, "trainer.total_timesteps.x=5"], "unknown key 'trainer.total_timesteps.x'"),
        ([TRAIN, "policy.memory.wdth=5"], "did you mean 'policy.memory.width'"),
        ([TRAIN, "policy.memory.kind=lstmm"], "did you mean 'lstm'"),
        ([TRAIN, "trainer.total_timesteps=-5"], "trainer.total_timesteps: input should be greater than or equal to 1"),
        ([TRAIN, "trainer.total_timesteps=many"], "trainer.total_timesteps: input should be a valid integer"),
        ([TRAIN, "trainer.learning_rate=nan"], "trainer.learning_rate"),
        ([TRAIN, "system.device=gpu"], "system.device: input should be 'auto', 'cpu' or 'cuda'"),
        ([TRAIN, "seed=x"], "seed: input should be a valid integer"),
        ([TRAIN, "seed=-1"], "seed: input should be greater than or equal to 0"),
        ([TRAIN, "seed=1", "seed=2"], "seed is given twice"),
        ([TRAIN, "run=../x"], "run='../x' is not a run name"),
        ([TRAIN, "policy_architecture=vitt"], "unknown architecture 'vitt'; did you mean 'vit'"),
        ([TRAIN, "policy_architecture=fast", "arch_type=puffer"], "name different architectures"),
        ([TRAIN, "evaluation_environments={}"], "evaluation_environments: dictionary should have at least 1 item"),
        ([TRAIN, "evaluation.worlds=1e12"], "evaluation.worlds: input should be less than or equal to 10000"),
        ([TRAIN, f"policy.actor.hidden={'[' * 5000}"], "policy.actor.hidden: input should be a valid tuple"),
        ([TRAIN, "level=level_2_easy"], "level cannot be set: the level is chosen by the path"),
        ([TRAIN, "architecture=fast"], "architecture cannot be set"),
        ([TRAIN, "fast"], "cannot read 'fast': expected key=value"),
        ([TRAIN, "--fast"], "unknown option '--fast'"),
        ([TRAIN, "--arch-type=fast"], "A setting is written without dashes: arch_type=fast"),
        (["level_7.train"], "'train' is a verb of level_1_basic, level_2_easy"),
        (["level_1.train"], "there is no recipe 'level_1.train'; did you mean 'level_1_basic.train'?"),
        (["level_1_basic", "--help"], "say what to do: level_1_basic.train, level_1_basic.evaluate"),
        ([TRAIN + "s"], f"did you mean '{TRAIN}'"),
        (["os.system"], "there is no recipe 'os.system'"),
        (["train"], "8 recipes end in 'train'; name one of them in full"),
        ([f"{PACKAGE}.run_benchmark.main"], "there is no recipe"),
        ([f"{PACKAGE}.level_1_basic.evaluate"], "policy_uri= is missing: address of the checkpoint"),
        (
            [f"{PACKAGE}.level_1_basic.evaluate", "policy_uri=random", "evaluation_environments={}"],
            "evaluation_environments: dictionary should have at least 1 item",
        ),
        ([f"{PACKAGE}.level_1_basic.evaluate", "policy_uri=nowhere"], "there is no checkpoint at 'nowhere'"),
    ],
)
def test_wrong_input_is_one_sentence_exit_2_and_nothing_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], sentence: str
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_path_is_enough() -> None:
    assert resolve(["level_3_medium.train", "seed=3"]) == resolve([f"{PACKAGE}.level_3_medium.train", "seed=3"])


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} tools/run.py {TRAIN} --help | head -n 1"
    done = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == f"{TRAIN}\n"
    assert done.stderr == ""


def test_policy_architecture_reaches_the_configuration() -> None:
    job = resolve([TRAIN, "policy_architecture=ViTSlidingTransConfig(num_layers=3)"])
    assert job.config.policy.memory.num_layers == 3
    assert job.config.architecture == "ViTSlidingTransConfig(num_layers=3)"
    assert resolve([TRAIN, "policy_architecture=ViTSlidingTransConfig()"]).config.architecture == "vit_sliding"
    assert resolve([TRAIN]).config.architecture == "vit"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("trainer.lr", "trainer.learning_rate"),
        ("lr", "trainer.learning_rate"),
        ("trainer.discount", "trainer.gamma"),
        ("trainer.learning_rat", "trainer.learning_rate"),
        ("ent_coef", "trainer.entropy_weight"),
        ("trainer.num_envs", "trainer.num_streams"),
        ("device", "system.device"),
    ],
)
def test_an_unknown_key_is_answered_by_its_meaning(key: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([TRAIN, f"{key}=0.1"]) == 2
    assert f"unknown key '{key}'; did you mean '{meant}'?" in capsys.readouterr().err


def test_names_of_other_libraries_lead_to_keys_that_exist() -> None:
    assert set(OTHER_NAMES.values()) <= {entry.key for entry in known_keys(resolve([TRAIN]).config)}


def test_a_python_without_the_packages_is_sent_to_uv() -> None:
    """`-S -I` leaves out the environment's packages, as the system's Python has none of them."""
    done = subprocess.run(
        [sys.executable, "-S", "-I", "tools/run.py"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "uv run tools/run.py" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_module_that_is_not_found_is_one_sentence_that_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when an architecture's own package, imported for the registry, is not on the path."""
    (tmp_path / "a_registry.py").write_text("from lost_package.config import Config\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert report_errors(lambda: importlib.import_module("a_registry").nothing) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a_registry.py, line 1, imports lost_package, which this Python does not find" in error
    assert "PYTHONPATH" in error


def test_output_never_ends_a_command(tmp_path: Path) -> None:
    """A terminal that knows only ASCII is shown escapes."""
    words = [f"{PACKAGE}.level_1_basic.evaluate", "policy_uri=\u043c\u043e\u0439/checkpoints"]
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tools" / "run.py", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: there is no checkpoint at")
    assert b"\\u043c" in done.stderr
