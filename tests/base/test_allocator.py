"""Freed memory is reused: large temporary arrays stop faulting in fresh pages."""

import subprocess
import sys

CODE = """
import resource, sys
import numpy as np
from metta.base.allocator import keep_freed_memory
if not keep_freed_memory():
    sys.exit("no mallopt here")
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.empty(2 * 2**20, np.float32)[:] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def test_large_temporaries_reuse_pages():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    if result.returncode == 0:
        assert int(result.stdout) < 100
    else:
        assert "no mallopt here" in result.stderr
