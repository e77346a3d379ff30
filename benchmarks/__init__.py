"""Speed measurements: each command prints a table and one JSON line, measured with repeats in one run."""
