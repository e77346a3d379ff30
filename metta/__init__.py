"""The Architecture Benchmark Suite: policy architectures trained, evaluated and compared on one gridworld arena."""

import os

# GNU OpenMP threads busy-wait by default; with anything else running on the same cores that makes torch 20 to 50
# times slower. The variable is read when torch is first imported, and `metta` is always imported before it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _find_place_for_compiled_code() -> None:
    """Before numba is imported."""
    import tempfile
    from pathlib import Path

    from metta.base.compiled_cache import find_place

    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    find_place(os.environ, Path(__file__).parent, home_cache, Path(tempfile.gettempdir()))


_find_place_for_compiled_code()
