"""Compiled kernel of the front view.

Axes: n observations, M tokens of an observation.
"""

from metta.agent.lanes import kernel


@kernel
def repeat_front(  # type: ignore[no-untyped-def]
    observations_nM3, centre, places_4, orientation_feature, num_global, num_features, result_nM3
):
    """Copy observations, with the tokens of the cell in front repeated behind the global tokens."""
    M = observations_nM3.shape[1]
    for n in range(observations_nM3.shape[0]):
        place = -1
        for t in range(M):
            if observations_nM3[n, t, 0] == centre and observations_nM3[n, t, 1] == orientation_feature:
                if observations_nM3[n, t, 2] < places_4.shape[0]:
                    place = places_4[observations_nM3[n, t, 2]]
                break
        written = min(num_global, M)
        for t in range(written):
            for byte in range(3):
                result_nM3[n, t, byte] = observations_nM3[n, t, byte]
        for t in range(num_global, M):
            if written == M:
                break
            if observations_nM3[n, t, 0] == place and observations_nM3[n, t, 1] < num_features:
                result_nM3[n, written, 0] = centre
                result_nM3[n, written, 1] = observations_nM3[n, t, 1] + num_features
                result_nM3[n, written, 2] = observations_nM3[n, t, 2]
                written += 1
        for t in range(num_global, M):
            if written == M:
                break
            for byte in range(3):
                result_nM3[n, written, byte] = observations_nM3[n, t, byte]
            written += 1
