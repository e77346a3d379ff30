"""How much a new LSTM's output depends on its input, for two ways to start its biases.

    uv run python benchmarks/lstm_bias.py

Feeds the same random sequences of the size that `fast` sees through two new 2-layer LSTMs and prints the standard
deviation of the last output over the batch: with every bias at 1 it is nearly constant, so that nothing can be learned
from what was seen.
"""

import json

import metta.base.seeding as seeding


def main() -> None:
    """Measure and print."""
    import torch

    from metta.agent.memory.config import LSTMConfig

    rates = {}
    torch.manual_seed(seeding.derive_seed(0, "lstm bias"))
    memory = LSTMConfig(width=128, num_layers=2).build(128)
    x = 0.17 * torch.randn(256, 64, 128)
    resets = torch.zeros(256, 64, dtype=torch.bool)
    for name in ("forget gate 1, others 0", "all 1"):
        if name == "all 1":
            for key, parameter in memory.named_parameters():
                if key.startswith("bias"):
                    torch.nn.init.ones_(parameter)
        with torch.no_grad():
            output, _ = memory(x, resets, memory.initial_state(256))
        rates[name] = float(output[:, -1].std(0).mean())
        print(f"{name:<26} standard deviation of the output over the batch {rates[name]:.5f}")
    print(json.dumps({"benchmark": "lstm_bias", "results": rates}))


if __name__ == "__main__":
    main()
