"""Weight initialisation: one function and its table.

| scheme      | weight                        | bias | used by                                                     |
| ----------- | ----------------------------- | ---- | ----------------------------------------------------------- |
| relu        | orthogonal, gain sqrt 2       | 0    | convolutions and linear maps in front of a ReLU, AGaLiTe    |
| tanh        | orthogonal, gain 5/3          | 0    | hidden layers in front of a tanh                            |
| actor       | orthogonal, gain 0.01         | 0    | last layer of the actor: a nearly uniform policy at first   |
| critic      | orthogonal, gain 1            | 0    | last layer of the critic, auxiliary predictions             |
| attention   | normal, variance 1 / fan in   | 0    | projections and feed-forward of the perceiver               |
| lecun       | normal, variance 1 / fan in   | 0    | GTrXL                                                       |
| normal_0.02 | normal, standard dev. 0.02    | 0    | Transformer-XL, windowed transformers, learned latents      |

An LSTM has a function of its own, `initialise_lstm`. Layer norms keep weight 1 and bias 0. Random numbers come from
torch's global CPU generator, which `PolicyConfig.build` seeds and puts back.
"""

import math
from collections.abc import Callable

from torch import Tensor, nn


def _normal_by_fan_in(weight: Tensor) -> None:
    nn.init.normal_(weight, std=weight[0].numel() ** -0.5)


_SCHEMES: dict[str, tuple[Callable[[Tensor], object], float]] = {
    "relu": (lambda weight: nn.init.orthogonal_(weight, math.sqrt(2.0)), 0.0),
    "tanh": (lambda weight: nn.init.orthogonal_(weight, 5.0 / 3.0), 0.0),
    "actor": (lambda weight: nn.init.orthogonal_(weight, 0.01), 0.0),
    "critic": (lambda weight: nn.init.orthogonal_(weight, 1.0), 0.0),
    "attention": (_normal_by_fan_in, 0.0),
    "lecun": (_normal_by_fan_in, 0.0),
    "normal_0.02": (lambda weight: nn.init.normal_(weight, std=0.02), 0.0),
}


def initialise(module: nn.Module, scheme: str) -> None:
    """Set the module's own parameters (not its children's) by a scheme of the table above.

    Parameters of two or more axes are weights; of one axis, biases.
    """
    initialise_weight, bias = _SCHEMES[scheme]
    for parameter in module.parameters(recurse=False):
        if parameter.dim() >= 2:
            initialise_weight(parameter)
            continue
        nn.init.constant_(parameter, bias)


def initialise_lstm(module: nn.Module, input_gain: float) -> None:
    """Set the parameters of LSTM layers: every gate's matrices orthogonal, the forget gates open.

    Biases of 1 throughout (1 + 1 in every gate, as some published policies start) saturate a new LSTM: cells run to
    where tanh is flat, and the output hardly depends on the input. Only the forget gate starts open, as Jozefowicz et
    al. 2015 recommend. The numbers of a convolutional perception are small (their root mean square is below 0.1), so
    that with a gain of 1 the gates hardly move and learning is slow: `uv run python benchmarks/perception.py` measures
    both.

    Args:
        module: with parameters of nn.LSTM's names and layout.
        input_gain: gain of the matrices between input and gates; 1 between hidden state and gates.
    """
    for name, parameter in module.named_parameters(recurse=False):
        gates = parameter.detach().chunk(4)
        if name.startswith("weight"):
            for gate in gates:
                nn.init.orthogonal_(gate, input_gain if name.startswith("weight_ih") else 1.0)
            continue
        nn.init.zeros_(parameter)
        if name.startswith("bias_ih"):
            nn.init.ones_(gates[1])
