"""Cheapest one-to-one matching of rows to columns.

Source: Kuhn, "The Hungarian method for the assignment problem", 1955, in the O(rows^2 * columns) form with shortest
augmenting paths and potentials of Jonker and Volgenant, 1987.
"""

import numpy as np

from metta.sim.scripted.compiled import inner

INFINITE = 1 << 50


@inner
def match(cost: np.ndarray) -> np.ndarray:
    """Column int64 [rows] of each row so that the sum of `cost` int64 [rows, columns] is least; rows <= columns."""
    rows, columns = cost.shape
    row_price = np.zeros(rows + 1, np.int64)
    column_price = np.zeros(columns + 1, np.int64)
    row_of = np.zeros(columns + 1, np.int64)
    before = np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        row_of[0] = row
        column = 0
        slack = np.full(columns + 1, INFINITE, np.int64)
        used = np.zeros(columns + 1, np.bool_)
        while True:
            used[column] = True
            here = row_of[column]
            step = INFINITE
            following = 0
            for other in range(1, columns + 1):
                if not used[other]:
                    reduced = cost[here - 1, other - 1] - row_price[here] - column_price[other]
                    if reduced < slack[other]:
                        slack[other] = reduced
                        before[other] = column
                    if slack[other] < step:
                        step = slack[other]
                        following = other
            for other in range(columns + 1):
                if used[other]:
                    row_price[row_of[other]] += step
                    column_price[other] -= step
                else:
                    slack[other] -= step
            column = following
            if row_of[column] == 0:
                break
        while column != 0:
            row_of[column] = row_of[before[column]]
            column = before[column]
    column_of = np.zeros(rows, np.int64)
    for column in range(1, columns + 1):
        if row_of[column] > 0:
            column_of[row_of[column] - 1] = column - 1
    return column_of
