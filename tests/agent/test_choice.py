"""An architecture is found by key and by name, with literal arguments; the text is parsed, never evaluated."""

from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent.choice import choose_architecture, configuration_builders
from metta.base.errors import InputError


@pytest.mark.parametrize("key", list(ARCHITECTURES))
def test_a_key_and_every_name_of_it_mean_the_same(key: str) -> None:
    assert choose_architecture(key, ARCHITECTURES) == (key, ARCHITECTURES[key])
    wanted = ARCHITECTURES[key].model_dump()
    names = [name for name, build in configuration_builders(ARCHITECTURES).items() if build().model_dump() == wanted]
    assert names
    for name in names:
        for text in (name, f"{name}()", f" {name} ( ) ", f"{key}()"):
            found, config = choose_architecture(text, ARCHITECTURES)
            assert (found, config.model_dump()) == (key, wanted)


def test_arguments_change_the_configuration_and_its_name() -> None:
    name, config = choose_architecture("ViTDefaultConfig(encoder={'num_latents': 5})", ARCHITECTURES)
    assert name == "ViTDefaultConfig(encoder={'num_latents': 5})"
    assert config.model_dump()["encoder"]["num_latents"] == 5
    assert choose_architecture("vit(num_latents=5)", ARCHITECTURES)[1].model_dump() == config.model_dump()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("vitt", r"unknown architecture 'vitt'; did you mean 'vit'\? Known: .*fast"),
        ("FastConfg()", "did you mean 'FastConfig'"),
        ("", "cannot read the architecture"),
        ("vit fast", "cannot read the architecture"),
        ("vit;fast", "cannot read the architecture"),
        ("metta.agent.policies.vit.ViTDefaultConfig()", "cannot read the architecture"),
        ("ViTDefaultConfig(3)", "argument without a name"),
        ("ViTDefaultConfig(**{'a': 1})", "argument without a name"),
        ("ViTDefaultConfig(num_latents=f())", "num_latents in the architecture .* is not a literal"),
        ("ViTDefaultConfig(num_latents=open('evaluated', 'w'))", "is not a literal"),
        ("__import__('pathlib').Path('evaluated').touch()", "cannot read the architecture"),
        ("PolicyConfig()", "unknown architecture 'PolicyConfig'"),
        ("(" * 500, "cannot read the architecture"),
        ("ViTDefaultConfig(num_latentz=3)", "num_latent"),
        ("ViTDefaultConfig(num_latents=0)", "greater than or equal to 1"),
        ("ViTDefaultConfig(num_latents='many')", "valid integer"),
    ],
)
def test_wrong_texts_get_one_sentence(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence) as error:
        choose_architecture(text, ARCHITECTURES)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
