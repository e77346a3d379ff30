"""What the curriculum of a level chose, and what came of it."""

import numpy as np
import pandas

from metta.analysis.blocks import Block, Column, Section, Table, Text
from metta.analysis.gather import Gathered
from metta.analysis.metrics import CURRICULUM, CURRICULUM_CURVES
from metta.analysis.topics.learning import curve_figure
from metta.base.files import file_part

CHOICE = "episodes_"
"""Prefix of the curriculum metric that counts the training episodes with a value of an axis."""
WORDS = (
    "Columns named by an axis and a value are shares of the training episodes that had this value, mean over seeds; "
    "the values of one axis add up to 1. If they are far from even over many seeds, the curriculum saw progress, in "
    "either direction, on the tasks with the darker value. A single run is uneven by chance, because few tasks are "
    "active at a time."
)


def section(benchmark: Gathered) -> Section | None:
    """Success and progress over training, and the choices, where a curriculum chose."""
    blocks: list[Block] = []
    for level in benchmark.levels:
        found = lessons(benchmark, level)
        if not found.empty:
            for metric, known in CURRICULUM_CURVES.items():
                figure = curve_figure(benchmark, level, metric, f"{level}: {known.name}", known.meaning)
                blocks += [figure] if figure else []
            blocks += [choices_table(found, level), Text(WORDS)]
    return Section("curriculum", "Curriculum", blocks) if blocks else None


def choices_table(found: pandas.DataFrame, level: str) -> Table:
    """Of one level."""
    choices = [Column(name, 2, (0.0, 1.0)) for name in found.columns[5:]]
    return Table(
        f"curriculum_choices_{file_part(level)}",
        f"{level}: what the curriculum chose, at the end of training",
        ["architecture", "seeds", Column("tasks known", 0), Column("episodes", 0), "success", *choices],
        found.astype(object).values.tolist(),
    )


def lessons(benchmark: Gathered, level: str) -> pandas.DataFrame:
    """A row for each architecture whose tasks a curriculum chose on a level, from runs that trained to their end.

    Columns: architecture, seeds, tasks_known, episodes, success (mean over the known tasks, as a share of each task's
    limit), and `<axis>_<value>`: share of the training episodes that had it. All but seeds are means over seeds.
    """
    rows = []
    for run in benchmark.runs.values():
        last = {
            name.removeprefix(CURRICULUM): float(curve[1][-1])
            for name, curve in run.files.curves.items()
            if name.startswith(CURRICULUM)
        }
        if run.is_whole and run.key.level == level and {"tasks_known", "episodes", "success"} <= last.keys():
            shares = {
                name.removeprefix(CHOICE): value / max(last["episodes"], 1.0)
                for name, value in last.items()
                if name.startswith(CHOICE)
            }
            own = {name: last[name] for name in ("tasks_known", "episodes", "success")}
            rows.append({"architecture": run.key.architecture, "seeds": 1, **own, **shares})
    if not rows:
        return pandas.DataFrame()
    groups = pandas.DataFrame(rows).dropna(axis=1).groupby("architecture")
    found = groups.mean().assign(seeds=groups.size()).reset_index()
    order = [benchmark.architectures.index(name) for name in found.architecture]
    return found.iloc[np.argsort(order)]
