"""Compiled kernel of the egocentric view.

Axes: n observations, M tokens of an observation.
"""

import numpy as np

from metta.agent.lanes import kernel


@kernel
def orientation_of(observations_nM3, n, centre, orientation_feature, num_orientations):  # type: ignore[no-untyped-def]
    """The value of the first orientation in the centre of observation n; 0 if there is none."""
    for t in range(observations_nM3.shape[1]):
        if observations_nM3[n, t, 0] == centre and observations_nM3[n, t, 1] == orientation_feature:
            value = np.int64(observations_nM3[n, t, 2])
            return value if value < num_orientations else np.int64(0)
    return np.int64(0)


@kernel
def find_orientations(  # type: ignore[no-untyped-def]
    observations_nM3, centre, orientation_feature, num_orientations, result_n
):
    """Write every observation's orientation."""
    for n in range(observations_nM3.shape[0]):
        result_n[n] = orientation_of(observations_nM3, n, centre, orientation_feature, num_orientations)


@kernel
def turn_tokens(  # type: ignore[no-untyped-def]
    observations_nM3,
    centre,
    places_4,
    values_34,
    orientation_feature,
    front_offset,
    action_feature,
    argument_feature,
    num_global,
    result_nM3,
):
    """Copy observations with locations, orientations and the last move as an agent sees them that faces north."""
    M = observations_nM3.shape[1]
    for n in range(observations_nM3.shape[0]):
        facing = orientation_of(observations_nM3, n, centre, orientation_feature, places_4.shape[0])
        action = 0
        for t in range(min(num_global, M)):
            if observations_nM3[n, t, 1] == action_feature:
                action = max(action, observations_nM3[n, t, 2])
        moved = values_34[2, 1, action] != action
        for t in range(M):
            place, feature, value = observations_nM3[n, t, 0], observations_nM3[n, t, 1], observations_nM3[n, t, 2]
            kind = 0
            if t < num_global:
                if feature == action_feature:
                    kind = 2
                elif feature == argument_feature and moved:
                    kind = 1
            elif feature == orientation_feature + front_offset or (feature == orientation_feature and place != centre):
                kind = 1
            result_nM3[n, t, 0] = places_4[facing, place]
            result_nM3[n, t, 1] = feature
            result_nM3[n, t, 2] = values_34[kind, facing, value]
