"""The configuration of a policy: which perception, memory, heads and auxiliary predictions it is composed of.

Torch-free: torch is imported when a policy is built.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

import metta.agent.dynamics_config
import metta.agent.encoders.config
import metta.agent.memory.config  # noqa: F401  the suite's own kinds are known once they are imported
from metta.agent.heads_config import HeadConfig
from metta.agent.parts import AuxiliaryConfig, EncoderConfig, MemoryConfig
from metta.agent.spec import EnvironmentSpec
from metta.base.config import Config

if TYPE_CHECKING:
    from metta.agent.policy import Policy


class PolicyConfig(Config):
    """A policy's parts. An architecture is a subclass with defaults for them, or a function that returns one.

    Any perception goes with any memory. A size may be given to its part or, for short, to the policy, where it goes to
    the memory if that has a field of this name and else to the perception: `ViTSlidingTransConfig(num_layers=3)` is
    `ViTSlidingTransConfig(memory={"num_layers": 3})`. A part given as a dictionary without a `kind` changes the
    architecture's own part.
    """

    encoder: EncoderConfig
    """Perception: what turns an observation into a vector."""

    memory: MemoryConfig
    """Memory: what turns a sequence of vectors into a sequence of vectors."""

    actor: HeadConfig = Field(default_factory=HeadConfig)
    """Hidden layers between memory and action logits."""

    critic: HeadConfig = Field(default_factory=HeadConfig)
    """Hidden layers between memory and value."""

    auxiliary: AuxiliaryConfig | None = None
    """Predictions beside the policy's own outputs, with losses of their own."""

    @model_validator(mode="before")
    @classmethod
    def _complete_parts(cls, values: Any) -> Any:
        """Move a part's sizes from the policy to the part, and fill partly given parts from the defaults."""
        if not isinstance(values, Mapping):
            return values
        given = dict(values)
        for name in ("memory", "encoder", "actor", "critic", "auxiliary"):
            default = cls.model_fields[name].get_default(call_default_factory=True)
            part = given.get(name, default)
            if isinstance(part, Mapping) and isinstance(default, Config):
                own_kind = getattr(default, "kind", None)
                if part.get("kind", own_kind) == own_kind:
                    part = {**default.model_dump(), **part}
            if name in ("memory", "encoder"):
                part = _with_sizes(part, given, set(cls.model_fields))
            if name in given or part is not default:
                given[name] = part
        for key in given.keys() - cls.model_fields.keys():
            raise ValueError(
                _unknown_key(key, {name: given.get(name, cls.model_fields[name].default) for name in cls.model_fields})
            )
        return given

    @model_validator(mode="after")
    def _widths_fit(self) -> Self:
        self.memory.output_width(self.encoder.output_width)
        return self

    @property
    def memory_width(self) -> int:
        """Width of the memory's output, which the heads read."""
        return self.memory.output_width(self.encoder.output_width)

    def build(self, spec: EnvironmentSpec, seed: int) -> "Policy":
        """The policy on the CPU in float32; its weights depend on `seed` only, and global randomness is left alone."""
        from metta.agent.build import build_policy

        return build_policy((self.encoder, self.memory, self.auxiliary), (self.actor, self.critic), spec, seed)


def _with_sizes(part: Any, given: dict[str, Any], policy_fields: set[str]) -> Any:
    """`part` with those keys of `given` that are fields of the part alone; takes them out of `given`."""
    if isinstance(part, Config):
        fields = set(type(part).model_fields)
    elif isinstance(part, Mapping):
        fields = set(part)
    else:
        return part
    sizes = {key: given.pop(key) for key in list(given) if key in fields - policy_fields - {"kind"}}
    if not sizes:
        return part
    return {**(part.model_dump() if isinstance(part, Config) else part), **sizes}


def _unknown_key(key: str, parts: Mapping[str, Any]) -> str:
    """The sentence for a keyword that neither the policy nor its memory or perception has."""
    sizes = {
        name: sorted(set(type(parts[name]).model_fields) - {"kind"})
        for name in ("memory", "encoder")
        if isinstance(parts.get(name), Config)
    }
    near = get_close_matches(key, [*parts, *(size for names in sizes.values() for size in names)], n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = "".join(f"; of the {name}: {', '.join(names) or 'none'}" for name, names in sizes.items())
    return f"unknown key {key!r}{hint} Parts: {', '.join(parts)}{listed}"
