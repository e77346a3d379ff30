"""Where worlds can be stepped: always on the CPU, and on a GPU if there is one that torch and numba can both use."""

from importlib.util import find_spec

from metta.base.errors import InputError


def check_cuda(asked: str, instead: str = "allowed: cpu") -> None:
    """Raises InputError, one sentence that names what is missing, unless worlds can be stepped on a GPU here.

    In numba's simulator of CUDA (NUMBA_ENABLE_CUDASIM=1, for tests) they always can.

    Args:
        asked: what asked for it, for the sentence.
        instead: what can be done without, for its end.
    """
    import torch
    from numba import config

    if config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
        return
    if not torch.cuda.is_available():
        raise InputError(f"{asked}, but torch sees no GPU here; {instead}.")
    if find_spec("numba_cuda") is None:
        raise InputError(
            f"{asked}, but the package numba-cuda is missing; install it with `uv sync --group cuda`; {instead}."
        )
    from numba import cuda

    fault = cuda.cuda_error()
    if fault is not None:
        raise InputError(f"{asked}, but numba cannot use the GPU ({str(fault).splitlines()[0]}); {instead}.")
