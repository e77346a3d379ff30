"""Examinations of trained policies beside the benchmark: worth of memory, play against each other, imitation."""
