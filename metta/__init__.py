"""The Architecture Benchmark Suite: policy architectures trained, evaluated and compared on one gridworld arena."""

import os

# GNU OpenMP threads busy-wait by default; with anything else running on the same cores that makes torch 20 to 50
# times slower. The variable is read when torch is first imported, and `metta` is always imported before it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
