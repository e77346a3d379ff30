"""The task runner says what it needs, and continuous integration calls what the README names."""

import re
import subprocess
import sys

from metta.base.provenance import REPOSITORY


def test_an_older_python_gets_one_sentence() -> None:
    program = "import runpy, sys; sys.version_info = (3, 10, 4); runpy.run_path('tasks.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tasks.py needs Python 3.11, 3.12 or 3.13; this is Python 3.10.")
    assert done.stderr.count("\n") == 1


def test_help_names_every_verb() -> None:
    done = subprocess.run(
        [sys.executable, "tasks.py", "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for verb in ("quick", "test", "check", "bench", "gpu", "docs", "pin"):
        assert re.search(rf"^  {verb} +\w", done.stdout, re.MULTILINE), verb


def test_a_missing_or_wrong_verb_is_told_as_every_wrong_input() -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "tasks.py", *words]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    nothing, wrong = run(), run("tset")
    assert (nothing.returncode, wrong.returncode) == (2, 2)
    assert nothing.stdout.startswith("usage: python3 tasks.py VERB [ARGUMENT ...]")
    assert wrong.stderr.startswith("error: there is no verb 'tset'; there are quick, test, ")
    assert wrong.stderr.count("\n") == 1


CHILD = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(3600)"
PARENT = f"""
import subprocess, sys, tasks
process = subprocess.Popen([sys.executable, "-c", {CHILD!r}])
wait = process.wait
process.wait = lambda: (print("waiting", flush=True), wait())[1]
sys.exit(tasks.wait(process))
"""


def test_a_request_to_end_reaches_the_command_and_its_end_is_waited_for() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert {process.stdout.readline() for _ in range(2)} == {"up\n", "waiting\n"}
        process.terminate()
    assert process.returncode == 7


def test_continuous_integration_runs_the_readme_s_test_command() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (python3 tasks\.py \w+)", readme, re.MULTILINE)
    assert commands == ["python3 tasks.py quick", "python3 tasks.py test"]
    assert "\npython3 tasks.py test\n" in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
