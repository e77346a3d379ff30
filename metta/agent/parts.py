"""The configuration base classes of a policy's parts: perception, memory and auxiliary predictions (torch-free).

Each part is a small configuration with a `kind`. A field of type `EncoderConfig`, `MemoryConfig` or `AuxiliaryConfig`
takes any kind that has been defined, also one of the user's own: subclass the base class with a literal `kind` of its
own, and importing that module is all the registration there is.
"""

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ModelWrapValidatorHandler, model_serializer, model_validator

from metta.agent.spec import EnvironmentSpec
from metta.base.config import Config

if TYPE_CHECKING:
    from torch import nn

    from metta.agent.policy import Auxiliary


class Part(Config):
    """A configuration that is found again by its `kind` when it is read from JSON."""

    kind: str
    """Name of the part; a subclass narrows it to one literal: `kind: Literal["lstm"] = "lstm"`."""

    family: ClassVar[str]
    """What the part is for, in error messages: perception, memory, auxiliary."""

    kinds: ClassVar[dict[str, type["Part"]]]
    """Every kind of this family that has been defined so far."""

    built_by: ClassVar[str] = ""
    """`module:Class` that is made of this configuration and of sizes; imported when it is built, because configurations
    are free of torch. A part of one's own may have a `build` of its own instead."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if "family" in vars(cls):
            cls.kinds = {}
            return
        kind = cls.model_fields["kind"].default
        if not isinstance(kind, str):
            return  # an abstract class between the family and its kinds
        known = cls.kinds.get(kind)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(
                f"{cls.__module__}.{cls.__qualname__} takes the {cls.family} kind {kind!r} of "
                f"{known.__module__}.{known.__qualname__}; give it a `kind` of its own"
            )
        cls.kinds[kind] = cls

    def _built(self, *sizes: Any) -> Any:
        if not self.built_by:
            raise NotImplementedError
        module, _, name = self.built_by.partition(":")
        return getattr(importlib.import_module(module), name)(self, *sizes)

    @model_serializer
    def _every_field(self) -> dict[str, Any]:
        # Pydantic writes only the fields of the declared type; a field may hold any kind of its family.
        return {name: getattr(self, name) for name in type(self).model_fields}

    @model_validator(mode="wrap")
    @classmethod
    def _of_the_kind_named(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if "family" not in vars(cls) or not isinstance(value, Mapping):
            return handler(value)
        kind = value.get("kind")
        if kind not in cls.kinds:
            near = get_close_matches(str(kind), cls.kinds, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            known = ", ".join(sorted(cls.kinds))
            raise ValueError(
                f"unknown {cls.family} kind {kind!r}; {hint}known kinds: {known} (and those of imported modules)"
            )
        return cls.kinds[kind].model_validate(value)  # type: ignore[return-value]


class EncoderConfig(Part):
    """Perception: observations uint8 [..., M, 3] -> float [..., output_width]."""

    family: ClassVar[str] = "perception"

    @property
    def output_width(self) -> int:
        """Width of the perception vector."""
        raise NotImplementedError

    def build(self, spec: EnvironmentSpec) -> "nn.Module":
        """The module, initialised from torch's global CPU generator (`PolicyConfig.build` seeds and restores it)."""
        module: nn.Module = self._built(spec)
        return module


class MemoryConfig(Part):
    """Memory: x [B, T, D + extra_inputs], resets bool [B, T], state -> y [B, T, D_out], state."""

    family: ClassVar[str] = "memory"

    @property
    def carries_over_resets(self) -> bool:
        """True only where memory runs on across episodes, ignoring resets (the plain LSTM)."""
        return False

    @property
    def reads_resets(self) -> bool:
        """True only where outputs depend on the flag itself, beside the state that it empties."""
        return False

    def output_width(self, input_width: int) -> int:
        """Width of y for perception vectors of `input_width`; raises ValueError with the remedy when it is unfit."""
        raise NotImplementedError

    def build(self, input_width: int) -> "nn.Module":
        """The module, initialised from torch's global CPU generator (`PolicyConfig.build` seeds and restores it)."""
        module: nn.Module = self._built(input_width)
        return module


class AuxiliaryConfig(Part):
    """Predictions beside the policy's own outputs, each with a loss of its own (see `metta.agent.policy.Auxiliary`)."""

    family: ClassVar[str] = "auxiliary"

    def build(self, perception_width: int, memory_width: int) -> "Auxiliary":
        """The module, initialised from torch's global CPU generator (`PolicyConfig.build` seeds and restores it)."""
        module: Auxiliary = self._built(perception_width, memory_width)
        return module
