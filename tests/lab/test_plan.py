"""Plans cover every combination once, and names of runs are told apart."""

from hypothesis import given
from hypothesis import strategies as st

from metta.lab.plan import RunSpec, id_part, plan


@given(st.text(), st.text())
def test_any_text_becomes_a_part_of_an_id(experiment: str, architecture: str) -> None:
    spec = RunSpec(experiment=id_part(experiment), architecture=id_part(architecture), level="level_1_basic", seed=7)
    assert spec.id.split(".") == [spec.experiment, spec.architecture, spec.level, "s7"]


def test_the_full_plan_has_195_runs_and_one_seed_of_everything_first() -> None:
    architectures, levels = [f"a{i}" for i in range(13)], [f"l{i}" for i in range(5)]
    runs = plan("benchmark", architectures, levels, range(3))
    assert len({run.id for run in runs}) == 195
    assert {run.seed for run in runs[:65]} == {0}
