"""Worlds on a GPU: the same rules, compiled once more. The seam to the rest is `env.CudaVectorEnv`."""
