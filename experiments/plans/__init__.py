"""Plans of experiments: lists of runs, for whatever machine is at hand."""
