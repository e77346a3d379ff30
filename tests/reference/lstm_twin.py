"""torch.nn.LSTM run row by row and, where resets count, piece by piece between them: the twin of our LSTM memory."""

import torch
from torch import Tensor, nn

from metta.agent.memory.lstm import LSTM


def lstm_twin(
    module: LSTM, x: Tensor, resets: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
    """Outputs, final state and the parameters of an nn.LSTM with the module's weights."""
    reference = nn.LSTM(module.input_width, module.output_width, module.num_layers, batch_first=True).to(x.dtype)
    reference.load_state_dict(module.state_dict())
    parameters = dict(reference.named_parameters())
    hidden, cell = state
    outputs, ends = [], []
    for b in range(x.shape[0]):
        own = hidden[b].unsqueeze(1), cell[b].unsqueeze(1)
        cuts = [*resets[b].nonzero().flatten().tolist(), x.shape[1]] if module.honour_resets else [x.shape[1]]
        pieces, first = [], 0
        for cut in cuts:
            if cut > first:
                y, own = reference(x[b : b + 1, first:cut], own)
                pieces.append(y)
            if cut < x.shape[1]:
                own = tuple(torch.zeros_like(part) for part in own)
            first = cut
        outputs.append(torch.cat(pieces, 1))
        ends.append(own)
    end = tuple(torch.stack([own[part].squeeze(1) for own in ends]) for part in range(2))
    return torch.cat(outputs), end, parameters
