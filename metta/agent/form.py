"""The form of a policy's parts: shapes, dtypes and devices, and that nothing they are given is changed in place.

A part with another form cannot be trained or probed, so this is looked at before the laws measure anything. Axes: B
batch rows, T time.
"""

import torch
from torch import Tensor

from metta.agent.policies.config import PolicyConfig
from metta.agent.policy import Policy
from metta.agent.state import leaves


def broken_form(policy: Policy, config: PolicyConfig, observations: Tensor, resets: Tensor) -> str:
    """The first thing in which perception, memory or state differ from their contract, as a sentence; else empty.

    Args:
        policy: to look at.
        config: what it was built from.
        observations: [B, T, M, 3] uint8, any.
        resets: [B, T] bool, true in front of the first step of some row.
    """
    batch, steps = resets.shape
    broken = _broken_initial_state(policy, batch)
    if broken:
        return broken
    extra = getattr(policy.memory, "extra_inputs", None)
    if not isinstance(extra, int):
        return "the memory has no extra_inputs, which probes read: write `extra_inputs = 0` into its class"
    fresh, width, memory_width = policy.initial_state(batch), config.encoder.output_width, config.memory_width
    with torch.no_grad():
        seen = policy.encoder(observations.clone())
        if _form(seen) != _form(torch.empty(batch, steps, width)):
            return (
                f"the perception returns {_form(seen)} for {steps} steps of {batch} rows; its output_width is {width}"
            )
        x = torch.cat([seen, seen.new_ones(batch, steps, extra)], 2)
        state = fresh
        for count, flags in ((steps, torch.zeros_like(resets)), (1, resets[:, :1].clone())):
            given = {"the observations": observations.clone(), "x": x[:, :count].clone(), "resets": flags}
            given |= {f"tensor {i} of the state": leaf for i, leaf in enumerate(leaves(state))}
            given |= {f"the buffer {name}": buffer for name, buffer in policy.named_buffers()}
            before = {name: tensor.clone() for name, tensor in given.items()}
            policy.encoder(given["the observations"])
            returned = policy.memory(given["x"], flags, state)
            if not (isinstance(returned, tuple) and len(returned) == 2):
                return f"the memory returns {_form(returned)}, not a pair of y and state"
            y, state = returned
            if _form(y) != _form(torch.empty(batch, count, memory_width)):
                asked = f"x {list(before['x'].shape)}; its output_width is {memory_width}"
                return f"the memory returns y as {_form(y)} for {asked}"
            if _form(state) != _form(fresh):
                return f"the memory returns the state {_form(state)}, but initial_state returns {_form(fresh)}"
            if not all(map(is_finite, (y, *leaves(state)))):
                return "the memory's outputs are not finite"
            changed = [name for name, tensor in given.items() if not torch.equal(tensor, before[name])]
            if changed:
                return f"a forward pass changes {changed[0]} in place: return what is new, leave what is given as it is"
        predictions = {} if policy.auxiliary is None else policy.auxiliary(seen, y.expand(-1, steps, -1))
    for name, prediction in predictions.items():
        if prediction.shape[:2] != (batch, steps):
            wanted = f"[B, T, ...] must be [{batch}, {steps}, ...] here"
            return f"the auxiliary prediction {name} is {_form(prediction)}; {wanted}"
    return ""


def _broken_initial_state(policy: Policy, batch: int) -> str:
    """What is wrong with what `initial_state` returns, as a sentence; else empty."""
    state = policy.initial_state(batch)
    if not _is_state(state):
        return f"initial_state returns {_form(state)}, not a tensor or a tuple of tensors and tuples"
    for leaf in leaves(state):
        if leaf.shape[:1] != (batch,):
            return f"initial_state({batch}) returns a tensor of shape {list(leaf.shape)}: the batch must come first"
    if not all(map(torch.equal, leaves(policy.initial_state(batch)), leaves(state))):
        return "initial_state does not return the same numbers every time"
    for leaf in leaves(policy.initial_state(batch, device="meta", dtype=torch.bfloat16)):
        if leaf.is_floating_point() and leaf.dtype != torch.bfloat16:
            return "initial_state ignores the dtype that it is given"
        if leaf.device.type != "meta":
            return "initial_state ignores the device that it is given"
    return ""


def _is_state(value: object) -> bool:
    return all(map(_is_state, value)) if isinstance(value, tuple) else isinstance(value, Tensor)


def _form(value: object) -> str:
    """Structure, dtypes and shapes: `(float32 [3, 64], int64 [3])`."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_form, value))})"
    return f"a {type(value).__name__}"


def is_finite(tensor: Tensor | None) -> bool:
    return tensor is None or not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
