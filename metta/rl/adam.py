"""Adam: its moments, and one step through torch's fused kernel.

`torch.optim.Adam(fused=True)` calls the same kernel, but imports `torch._dynamo` at its first step, which takes longer
than all of torch and is felt in every job (`benchmarks/bench_startup.py`); tests hold the two equal bit for bit.

P parameters.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from metta.rl.config import TrainerConfig

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""Of each parameter: number of steps, running means of the gradient and of its square (torch.optim.Adam's names)."""


class Adam:
    """Kingma and Ba 2015 (https://arxiv.org/abs/1412.6980), without weight decay."""

    def __init__(self, parameters: Sequence[nn.Parameter], config: TrainerConfig) -> None:
        """Moments of zeros for these P parameters; they are written in place."""
        self.parameters = list(parameters)
        self.config = config
        # The kernel walks parameters, gradients and moments in the order of memory, so all must lie in it alike.
        for parameter in self.parameters:
            parameter.data = parameter.data.contiguous()
        self.steps = [torch.zeros((), dtype=torch.float32, device=parameter.device) for parameter in self.parameters]
        self.means = [torch.zeros_like(parameter.data) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter.data) for parameter in self.parameters]

    def step(self, gradients: Sequence[Tensor], learning_rate: float | Tensor, stop: Tensor | None = None) -> None:
        """Move the parameters by their gradients, P contiguous tensors of the parameters' shapes.

        A `learning_rate` on a GPU is float32. Nothing changes if `stop` (float32, a scalar on their device) is 1;
        nobody has to wait for the device to know.
        """
        # A list, because a single number would be asked for.
        torch._foreach_add_(self.steps, 1 if stop is None else [1 - stop] * len(self.steps))
        torch._fused_adam_(
            [parameter.data for parameter in self.parameters],
            list(gradients),
            self.means,
            self.squares,
            [],
            self.steps,
            lr=learning_rate,
            beta1=self.config.beta1,
            beta2=self.config.beta2,
            weight_decay=0.0,
            eps=self.config.adam_eps,
            amsgrad=False,
            maximize=False,
            found_inf=stop,
        )

    @property
    def changed(self) -> list[Tensor]:
        """All that a step changes in place."""
        return [*(parameter.data for parameter in self.parameters), *self.steps, *self.means, *self.squares]

    def state_dict(self) -> dict[str, Tensor]:
        """The moments as "<number of the parameter>/<name>"."""
        rows = enumerate(zip(self.steps, self.means, self.squares, strict=True))
        return {f"{index}/{name}": moment for index, row in rows for name, moment in zip(MOMENTS, row, strict=True)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave. Raises `KeyError` if a moment is missing; then nothing has changed."""
        own = self.state_dict()
        given = [state[name] for name in own]
        for mine, theirs in zip(own.values(), given, strict=True):
            mine.copy_(theirs)
