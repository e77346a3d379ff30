"""Plans cover every combination once, and ids parse back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta.base.errors import InputError
from metta.lab.plan import RunSpec, id_part, plan

PARTS = st.text("abzABZ019_-", min_size=1, max_size=12)


@given(PARTS, PARTS, PARTS, st.integers(0, 10**12))
def test_ids_parse_back(experiment: str, architecture: str, level: str, seed: int) -> None:
    spec = RunSpec(experiment=experiment, architecture=architecture, level=level, seed=seed)
    assert RunSpec.from_id(spec.id) == spec


@given(st.text())
def test_any_text_becomes_a_part_of_an_id(text: str) -> None:
    spec = RunSpec(experiment=id_part(text), architecture="vit", level="level_1_basic", seed=0)
    assert RunSpec.from_id(spec.id) == spec


@pytest.mark.parametrize("text", ["", "a.b.c", "a.b.c.d", "a.b.c.s", "a.b.c.s-1", "x.a.b.c.s1", "../a.b.c.s1"])
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(InputError, match="is not a run id"):
        RunSpec.from_id(text)


def test_the_full_plan_has_195_runs_and_one_seed_of_everything_first() -> None:
    architectures, levels = [f"a{i}" for i in range(13)], [f"l{i}" for i in range(5)]
    runs = plan("benchmark", architectures, levels, range(3))
    assert len({run.id for run in runs}) == 195
    assert {run.seed for run in runs[:65]} == {0}
