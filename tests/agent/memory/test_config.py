"""Memory configurations: defaults, refusals with their remedy."""

import pytest

from metta.agent.memory.config import (
    AGaLiTeConfig,
    GTrXLConfig,
    LSTMConfig,
    SlidingConfig,
    TransformerConfig,
    TransformerXLConfig,
)
from metta.base.errors import InputError
from tests.agent.memory.cases import MEMORIES


@pytest.mark.parametrize(
    ("config", "values", "sentence"),
    [
        (GTrXLConfig, {"num_heads": 5}, "choose num_heads from 1, 2, 4, 8, 16, 32"),
        (TransformerConfig, {"window": 0}, "greater than 0"),
        (SlidingConfig, {"window": -3}, "greater than 0"),
        (TransformerXLConfig, {"memory": 0}, "greater than 0"),
        (TransformerXLConfig, {"num_layers": -1}, "greater than 0"),
        (TransformerXLConfig, {"width": 33, "num_heads": 3}, "choose 32 or 34"),
        (LSTMConfig, {"width": 0}, "greater than 0"),
        (AGaLiTeConfig, {"oscillations": 1}, "greater than or equal to 2"),
        (AGaLiTeConfig, {"etta": 1}, "did you mean 'eta'?"),
    ],
)
def test_wrong_sizes_are_refused_with_the_remedy(config, values, sentence):
    with pytest.raises(InputError) as caught:
        config.parse(values)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("kind", MEMORIES)
def test_written_and_read_back(kind):
    config = MEMORIES[kind]
    assert type(config).model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("kind", MEMORIES)
def test_width_is_known_without_building(kind):
    module = MEMORIES[kind].build(6)
    assert module.input_width == 6
    assert module.output_width == MEMORIES[kind].output_width(6)
