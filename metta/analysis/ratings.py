"""Ratings of players that met in pairs, from how each pair shared its hearts; pure functions.

The model is that of Bradley and Terry 1952: a player of strength s_i has the expected share s_i / (s_i + s_j) of what
it and j collect together. Shares in place of won games use all that was counted, and are fitted in the same way
(a quasi-likelihood: only the mean of a share is assumed). Ratings are on the scale of chess (Elo 1978): 400 points
more are ten times the hearts; their mean over the players is 0.

W worlds, P players, R bootstrap draws.
"""

import math

import numpy as np
from numpy.typing import NDArray

from metta.analysis.bootstrap import RESAMPLES, percentile_interval
from metta.analysis.intervals import CONFIDENCE, Estimate, t_quantile

Array = NDArray[np.float64]
SCALE = 400 / math.log(10)
"""Points of a factor e in strength."""
STEPS = 100
"""Newton's method has converged long before."""


def shares(hearts: Array) -> Array:
    """[W, P, P] share of i in what i and j collected, of `hearts` [W, P, P]: what i collected against j.

    Half a heart is added on each side, so that somebody without any has a finite rating. The diagonal is 1/2.
    """
    own = hearts + 0.5
    result: Array = own / (own + own.swapaxes(-1, -2))
    return result


def bradley_terry(mean_shares: Array) -> Array:
    """[..., P] logarithms of the strengths, mean 0, that fit shares [..., P, P] inside (0, 1), every pair once.

    Newton's method on the log-likelihood, with steps of at most 1 in any strength.
    """
    players = mean_shares.shape[-1]
    apart = ~np.eye(players, dtype=bool)
    strengths = np.zeros(mean_shares.shape[:-1])
    for _ in range(STEPS):
        expected = 1 / (1 + np.exp(strengths[..., None, :] - strengths[..., :, None]))
        slope = np.where(apart, mean_shares - expected, 0).sum(-1)
        curvature = np.where(apart, expected * (1 - expected), 0)
        # Strengths are known up to a constant; the added ones keep their mean at 0.
        matrix = curvature.sum(-1)[..., None] * np.eye(players) - curvature + 1 / players
        step = np.linalg.solve(matrix, slope[..., None])[..., 0]
        strengths = strengths + step / np.maximum(1, np.abs(step).max(-1, keepdims=True))
        if np.abs(step).max() < 1e-9:
            break
    return strengths


def ratings(hearts: Array, seed: int, number: int = RESAMPLES) -> list[Estimate]:
    """The rating of each player with its 95 % interval over worlds.

    The bootstrap draws whole worlds with all that happened in them, since what one pair meets there all others do;
    percentiles are taken further out for few worlds (the "expanded" interval of Hesterberg 2015, The American
    Statistician 69, section 5.4). One world gives no interval.

    Args:
        hearts: [W, P, P] hearts of i in the games against j.
        seed: decides the draws.
        number: R.
    """
    found = shares(hearts)
    worlds = found.shape[0]
    values = SCALE * bradley_terry(found.mean(0))
    if worlds < 2:
        return [Estimate(float(value)) for value in values]
    drawn = np.random.default_rng(seed).integers(0, worlds, (number, worlds))
    draws = SCALE * bradley_terry(found[drawn].mean(1))
    reach = math.sqrt(worlds / (worlds - 1)) * t_quantile(0.5 + CONFIDENCE / 2, worlds - 1)
    low, high = percentile_interval(draws, math.erf(reach / math.sqrt(2)))
    return [Estimate(*ends) for ends in zip(values.tolist(), low.tolist(), high.tolist(), strict=True)]
