"""The task runner: `python3 tasks.py VERB` (without one it names them); needs only Python 3.11+ and pip.

It finds uv, or installs a pinned copy into `.uv/` beside this file, and runs everything through `uv run`, which creates
`.venv/` from the pins in pyproject.toml on first use (about 3 GB, mostly torch).
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "tasks.py needs Python 3.11, 3.12 or 3.13; this is Python {}.{}. Run it with one of those, "
        "for example: python3.12 tasks.py test".format(*sys.version_info[:2])
    )

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent
UV_VERSION = "0.13.0"
OLDEST_UV = (0, 8)
PIN_HEADING = "# Every dependency, direct and indirect; written by `python3 tasks.py pin`."
BENCHMARKS = ("sim", "training", "scaling", "evaluation", "memory", "parts", "startup", "result")
QUICK = ["python", "experiments/recipes/benchmark_architectures/run_benchmark.py", "--quick"]


def works(uv: str) -> bool:
    """Whether this uv runs and is new enough to honour the settings in pyproject.toml."""
    answer = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"uv (\d+)\.(\d+)", answer.stdout)
    return answer.returncode == 0 and version is not None and (int(version[1]), int(version[2])) >= OLDEST_UV


def find_uv() -> str:
    """uv from the PATH, or the pinned one in `.uv/`, installed there by pip when missing.

    `--target` is used because it also works where the system's Python refuses a plain `pip install` (PEP 668).
    """
    on_path = shutil.which("uv")
    if on_path and works(on_path):
        return on_path
    local = ROOT / ".uv" / "bin" / "uv"
    if not (local.exists() and works(str(local))):
        print(f"Installing uv {UV_VERSION} into {local.parent.parent} ...", flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        done = subprocess.run([*command, "--target", str(ROOT / ".uv"), f"uv=={UV_VERSION}"], check=False)
        if done.returncode != 0:
            sys.exit(
                f"pip could not install uv {UV_VERSION} (see above); install uv yourself or pip for {sys.executable}."
            )
    return str(local)


def wait(process: "subprocess.Popen[bytes]") -> int:
    """Exit status of a command that gets the requests to end that reach this process, and has all the time it needs."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: process.send_signal(number))
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal's Ctrl-C reaches the command itself
    return process.wait()


def run(*command: str) -> None:
    """Run one command in the project's environment, from the repository root; stop here if it fails."""
    environment = {**os.environ, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    # Packages of the caller's own environment must not leak into the project's.
    environment.pop("VIRTUAL_ENV", None)
    environment.pop("PYTHONPATH", None)
    status = wait(subprocess.Popen([find_uv(), *command], cwd=ROOT, env=environment))
    if status != 0:
        sys.exit(status if status > 0 else 128 - status)


def quick(arguments: list[str]) -> None:
    """A small real benchmark: two architectures, level 1, three seeds, in minutes; ends with a comparison."""
    run("run", *QUICK, *arguments)
    if find_uv() != shutil.which("uv"):
        print('\nFor the commands that begin with uv, once per terminal:\n  export PATH="$PWD/.uv/bin:$PATH"')


def test(arguments: list[str]) -> None:
    """The tests, on two processes; further arguments go to pytest, `--slow` runs the slow ones only."""
    which = "slow" if "--slow" in arguments else "not slow"
    # A file stays together, because its tests share fixtures that are dear.
    spread = ["--numprocesses", "2", "--dist", "loadfile"]
    run("run", "pytest", "-m", which, *spread, *(argument for argument in arguments if argument != "--slow"))


def check(arguments: list[str]) -> None:
    """Lint, formatting and types; `--fix` repairs what can be repaired automatically."""
    fix = "--fix" in arguments
    run("run", "ruff", "check", *(["--fix"] if fix else []))
    run("run", "ruff", "format", *([] if fix else ["--check"]))
    run("run", "mypy")


def bench(arguments: list[str]) -> None:
    """Measure speed on this machine; or one benchmark alone, with flags of its own: `bench sim --levels 1`."""
    for name in arguments[:1] or BENCHMARKS:
        if name not in BENCHMARKS:
            sys.exit(f"There is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}.")
        run("run", "python", f"benchmarks/bench_{name}.py", *arguments[1:])


def gpu(arguments: list[str]) -> None:
    """Check and measure a GPU in ten minutes; `--rehearse` does everything in miniature without one."""
    group = [] if "--rehearse" in arguments else ["--group", "cuda"]
    run("run", *group, "python", "-m", "benchmarks.gpu", *arguments)


def docs(arguments: list[str]) -> None:
    """Rewrite the generated pages of docs/ from the code; `--check` only says whether they are up to date."""
    run("run", "python", "-m", "metta.cli.reference", *arguments)
    run("run", "python", "-m", "tools.levels_page", *arguments)
    run("run", "python", "-m", "tools.memory_page", *arguments)


def publish(arguments: list[str]) -> None:
    """Add the complete runs of a FOLDER to published/, and rewrite results, report and scoreboard."""
    run("run", "python", "-m", "experiments.recipes.benchmark_architectures.publish", *arguments)


def pin(arguments: list[str]) -> None:
    """Resolve every dependency anew and write the versions into pyproject.toml."""
    path = ROOT / "pyproject.toml"
    before = path.read_text(encoding="utf-8")
    block = re.compile(re.escape(PIN_HEADING) + r"\nconstraint-dependencies = \[\n.*?\n\]\n", re.DOTALL)
    if not block.search(before):
        sys.exit(f"pyproject.toml has no block {PIN_HEADING!r} to rewrite.")
    environment = {**os.environ, "UV_PYTHON": sys.executable}
    export = ["export", "--format", "requirements-txt", "--no-emit-project", "--no-header"]
    # Groups that exclude each other (`conflicts` in pyproject.toml) pin what they differ in themselves.
    choices = (["--all-groups", "--no-group", "skypilot"], ["--group", "skypilot"])
    path.write_text(block.sub("", before), encoding="utf-8")
    try:
        subprocess.run([find_uv(), "lock", "--upgrade"], cwd=ROOT, env=environment, check=True)
        texts = [
            subprocess.run(
                [find_uv(), *export, *choice, "--no-annotate", "--no-hashes"],
                cwd=ROOT,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for choice in choices
        ]
    except subprocess.CalledProcessError as error:
        path.write_text(before, encoding="utf-8")
        sys.exit(f"uv could not resolve the dependencies: {error}")
    own = {f"{name}==" for name in re.findall(r'"([a-z0-9-]+)==[^"]+", # pinned here', before)}
    lines = {line.strip() for text in texts for line in text.splitlines() if line.strip()}
    pins = "".join(f'    "{line}",\n' for line in sorted(lines) if not line.startswith(tuple(own)))
    rewritten = f"{PIN_HEADING}\nconstraint-dependencies = [\n{pins}]\n"
    path.write_text(block.sub(lambda _: rewritten, before), encoding="utf-8")
    run("lock")
    print(f"Pinned {len(pins.splitlines())} packages in {path}.")


VERBS = {function.__name__: function for function in (quick, test, check, bench, gpu, docs, publish, pin)}


def main() -> None:
    """Read the verb and run it; what follows is the verb's own."""
    verb, *arguments = sys.argv[1:] or [""]
    if verb in ("", "-h", "--help"):
        verbs = "\n".join(f"  {name:7} {(function.__doc__ or '').strip()}" for name, function in VERBS.items())
        print(f"usage: python3 tasks.py VERB [ARGUMENT ...]\n\n{verbs}")
        sys.exit(0 if verb else 2)
    if verb not in VERBS:
        print(
            f"error: there is no verb {verb!r}; there are {', '.join(VERBS)} (--help explains them).", file=sys.stderr
        )
        sys.exit(2)
    VERBS[verb](arguments)


if __name__ == "__main__":
    main()
