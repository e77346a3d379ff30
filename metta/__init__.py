"""The Architecture Benchmark Suite: policy architectures trained, evaluated and compared on one gridworld arena."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.environments import make_env, parallel_env, register_envs
    from metta.analysis.frames import load_curves, load_results
    from metta.rl.acting import load_policy

__all__ = ["load_curves", "load_policy", "load_results", "make_env", "parallel_env", "register_envs"]

# GNU OpenMP threads busy-wait by default; with anything else running on the same cores that makes torch 20 to 50
# times slower. The variable is read when torch is first imported, and `metta` is always imported before it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_HOMES = {
    "load_curves": "metta.analysis.frames",
    "load_policy": "metta.rl.acting",
    "load_results": "metta.analysis.frames",
    "make_env": "experiments.environments",
    "parallel_env": "experiments.environments",
    "register_envs": "experiments.environments",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only now: `import metta` itself costs nothing, pandas and torch take seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'metta' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _find_place_for_compiled_code() -> None:
    """Before numba is imported."""
    import tempfile
    from pathlib import Path

    from metta.base.compiled_cache import find_place

    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    find_place(os.environ, Path(__file__).parent, home_cache, Path(tempfile.gettempdir()))


_find_place_for_compiled_code()
