"""The GRU gate that GTrXL and AGaLiTe put in place of residual sums.

Axes: any leading axes, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from metta.agent.init import initialise
from metta.agent.path import at_hand


class GRUGate(nn.Module):
    """r = s(W_r y + U_r x), z = s(W_z y + U_z x - b), h = tanh(W_g y + U_g (r * x)); output (1 - z) * x + z * h.

    Parameters: `w_r`, `u_r`, `w_z`, `u_z`, `w_g`, `u_g`, each [D out, D in], and `bias` [D] (the b above). In the
    AGaLiTe authors' flax code these are `Wr.kernel` ... `Ug.kernel`, transposed, and `bgp`.

    Source: Parisotto et al. 2019, section 3.2, https://arxiv.org/abs/1910.06764; code
    https://github.com/subho406/agalite (GRUGatingUnit). Differs in: nothing; products with one input are done as one.
    """

    def __init__(self, width: int, initial_bias: float, scheme: str) -> None:
        super().__init__()
        self.w_r, self.w_z, self.w_g = (nn.Parameter(torch.empty(width, width)) for _ in range(3))
        self.u_r, self.u_z, self.u_g = (nn.Parameter(torch.empty(width, width)) for _ in range(3))
        self.bias = nn.Parameter(torch.empty(width))
        initialise(self, scheme)
        nn.init.constant_(self.bias, initial_bias)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Stream x [..., D] and sub-layer output y [..., D] -> [..., D]."""
        D = x.shape[-1]
        if not at_hand(x):
            return self.by_few_operations(x.reshape(-1, D), y.reshape(-1, D)).view(x.shape)
        no_bias = torch.zeros_like(self.bias)
        from_y = functional.linear(
            y, torch.cat([self.w_r, self.w_z, self.w_g]), torch.cat([no_bias, -self.bias, no_bias])
        )
        from_x = functional.linear(x, torch.cat([self.u_r, self.u_z]))
        r, z = torch.sigmoid(from_y[..., : 2 * D] + from_x).split(D, -1)
        h = torch.tanh(from_y[..., 2 * D :] + functional.linear(r * x, self.u_g))
        return torch.lerp(x, h, z)

    def by_few_operations(self, x_nD: Tensor, y_nD: Tensor) -> Tensor:
        """The same for GPUs: sums are done by the products."""
        D = x_nD.shape[1]
        r_and_z, g = (y_nD @ torch.cat([self.w_r, self.w_z, self.w_g]).t()).split([2 * D, D], 1)
        r, z = torch.addmm(r_and_z, x_nD, torch.cat([self.u_r, self.u_z]).t()).split(D, 1)
        h = torch.addmm(g, r.sigmoid() * x_nD, self.u_g.t()).tanh()
        return torch.lerp(x_nD, h, (z - self.bias).sigmoid())
