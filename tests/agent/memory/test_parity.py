"""Every memory against its textbook twin: outputs and gradients, memory in front and resets included.

The name maps are those of each module's docstring, so this is also how published weights are brought in.
"""

import pytest
import torch

from metta.agent.memory.config import AGaLiTeConfig, GTrXLConfig
from tests.agent.memory.cases import INPUT_WIDTH, MEMORIES, build, close, segment
from tests.reference.agalite_twin import agalite_twin
from tests.reference.gtrxl_twin import gtrxl_twin
from tests.reference.textbook import sinusoid
from tests.reference.transformer_xl_twin import transformer_xl_twin
from tests.reference.window_transformer_twin import window_transformer_twin

STEPS = 13


def transformer_xl_names(p, layers):
    """Our parameters under kimiyoung/transformer-xl's names."""
    theirs = {"r_w_bias": p["u"], "r_r_bias": p["w"]}
    for i in range(layers):
        own = f"layers.{i}"
        attention = f"{own}.attention"
        theirs[f"{own}.dec_attn.qkv_net.weight"] = torch.cat(
            [p[f"{attention}.query.weight"], p[f"{attention}.key_value.weight"]]
        )
        theirs[f"{own}.dec_attn.r_net.weight"] = p[f"{attention}.position.weight"]
        theirs[f"{own}.dec_attn.o_net.weight"] = p[f"{attention}.output.weight"]
        for kind in ("weight", "bias"):
            theirs[f"{own}.dec_attn.layer_norm.{kind}"] = p[f"{own}.attention_norm.{kind}"]
            theirs[f"{own}.pos_ff.layer_norm.{kind}"] = p[f"{own}.feed_forward_norm.{kind}"]
            theirs[f"{own}.pos_ff.CoreNet.0.{kind}"] = p[f"{own}.expand.{kind}"]
            theirs[f"{own}.pos_ff.CoreNet.3.{kind}"] = p[f"{own}.contract.{kind}"]
    return theirs


def gate_names(p, own, theirs):
    """A gate's parameters in flax layout."""
    names = {f"{theirs}.{kind}{part}.kernel": p[f"{own}.{kind.lower()}_{part}"].t() for kind in "WU" for part in "rzg"}
    return names | {f"{theirs}.bgp": p[f"{own}.bias"]}


def dense_names(p, own, theirs):
    """A linear map's parameters in flax layout."""
    return {f"{theirs}.kernel": p[f"{own}.weight"].t(), f"{theirs}.bias": p[f"{own}.bias"]}


def norm_names(p, own, theirs):
    """A layer norm's parameters in flax layout."""
    return {f"{theirs}.scale": p[f"{own}.weight"], f"{theirs}.bias": p[f"{own}.bias"]}


def gtrxl_names(p, layers):
    """Our parameters under the names of subho406/agalite's GTrXL."""
    theirs = {"u": p["u"], "v": p["w"]} | dense_names(p, "embedding", "embedding")
    for i in range(layers):
        own, their = f"layers.{i}", f"layers_{i}"
        theirs |= norm_names(p, f"{own}.attention_norm", f"{their}.layernorm1")
        theirs |= norm_names(p, f"{own}.feed_forward_norm", f"{their}.layernorm2")
        theirs |= gate_names(p, f"{own}.attention_gate", f"{their}.gate1")
        theirs |= gate_names(p, f"{own}.feed_forward_gate", f"{their}.gate2")
        for ours, name in {
            "attention.query": "attention.attention_q",
            "attention.key_value": "attention.attention_kv",
            "attention.position": "attention.project_pos",
            "attention.output": "attention.project",
            "expand": "mlp_0",
            "contract": "mlp_1",
        }.items():
            theirs |= dense_names(p, f"{own}.{ours}", f"{their}.{name}")
    return theirs


def agalite_names(p, layers):
    """Our parameters under the names of subho406/agalite's AGaLiTe."""
    theirs = dense_names(p, "embedding", "layer1.emb_layer")
    for i in range(layers):
        own, their = f"layers.{i}", f"layer{i + 1}"
        theirs |= norm_names(p, f"{own}.attention_norm", f"{their}.LayerNorm_0")
        theirs |= norm_names(p, f"{own}.feed_forward_norm", f"{their}.LayerNorm_1")
        theirs |= gate_names(p, f"{own}.attention_gate", f"{their}.GRUGatingUnit_0")
        theirs |= gate_names(p, f"{own}.feed_forward_gate", f"{their}.GRUGatingUnit_1")
        for ours, name in {
            "main": "AttentionORLiTLayer_0.linear_kqvbetagammas",
            "expansion": "AttentionORLiTLayer_0.linear_p1p2p3",
            "output": "AttentionORLiTLayer_0.project",
            "expand": "ffc_0",
            "contract": "ffc_1",
        }.items():
            theirs |= dense_names(p, f"{own}.{ours}", f"{their}.{name}")
    return theirs


def compare(module, twin_row, state, x, resets):
    """Outputs and gradients of `module` equal those of the twin, row by row; returns both final states."""
    x.requires_grad_()
    parameters = list(module.parameters())
    y, end = module(x, resets, state)
    results = [twin_row(b) for b in range(x.shape[0])]
    target = torch.stack([row for row, _ in results])
    close(y, target, 2e-6)
    weights = torch.randn_like(y)
    found = torch.autograd.grad((y * weights).sum(), [x, *parameters])
    wanted = torch.autograd.grad((target * weights).sum(), [x, *parameters])
    for gradient, expected in zip(found, wanted, strict=True):
        close(gradient, expected, 2e-6)
    single = module.float()
    low, _ = single(x.float(), resets, type(end)(_to_float(state)))
    close(low.double(), target, 2e-5)
    module.double()
    return end, [state for _, state in results]


def _to_float(state):
    if isinstance(state, torch.Tensor):
        return state.float() if state.is_floating_point() else state
    return tuple(_to_float(part) for part in state)


def memories_of(state, row):
    """Each layer's valid slots of one row, oldest first."""
    memories, valid = state
    return [list(memory[row][valid[row]]) for memory in memories]


@pytest.mark.parametrize("kind", ["transformer_xl", "transformer_xl_fused", "gtrxl", "gtrxl_raw_query"])
@pytest.mark.parametrize("steps_before", [0, 3, 11])
def test_relative_memories(kind, steps_before):
    config = MEMORIES[kind]
    gtrxl = isinstance(config, GTrXLConfig)
    module = build(config, width=INPUT_WIDTH if gtrxl else config.width)
    state = module.initial_state(2)
    if steps_before:
        x, resets = segment(module, 2, steps_before, seed=5, rate=0.2)
        state = module(x, resets, state)[1]
    x, resets = segment(module, 2, STEPS, rate=0.2)
    assert resets[1].any()
    p = dict(module.named_parameters())
    L = config.num_layers

    def twin_row(b):
        before = memories_of(state, b)
        if gtrxl:
            names = gtrxl_names(p, L)
            return gtrxl_twin(names, L, config.memory, config.normalize_query, x[b], resets[b], before)
        return transformer_xl_twin(transformer_xl_names(p, L), L, config.memory, x[b], resets[b], before)

    end, twin_ends = compare(module, twin_row, state, x, resets)
    for b, twin_end in enumerate(twin_ends):
        for slots, twin_slots in zip(memories_of(end, b), twin_end, strict=True):
            close(torch.stack(slots), torch.stack(twin_slots), 2e-6)


def test_fused_takes_the_plain_weights_and_gives_the_plain_outputs():
    plain, fused = (build(MEMORIES[kind], torch.float32) for kind in ("transformer_xl", "transformer_xl_fused"))
    with torch.no_grad():
        for parameter in fused.parameters():
            parameter.zero_()
    fused.load_state_dict(plain.state_dict())
    x, resets = segment(plain, 4, 40, torch.float32)
    y, end = plain(x, resets, plain.initial_state(4))
    z, fused_end = fused(x, resets, fused.initial_state(4))
    close(z, y, 1e-5)
    for ours, other in zip(end[0], fused_end[0], strict=True):
        close(other, ours, 1e-5)
    assert torch.equal(end[1], fused_end[1])


@pytest.mark.parametrize(("r", "eta"), [(2, 4), (3, 1), (5, 2), (6, 2)])
def test_agalite(r, eta):
    config = AGaLiTeConfig(width=6, num_heads=2, head_width=4, feed_forward=8, num_layers=2, oscillations=r, eta=eta)
    module = build(config)
    x, resets = segment(module, 2, STEPS, rate=0.15)
    assert resets[1].any()
    p = dict(module.named_parameters())

    def twin_row(b):
        return agalite_twin(agalite_names(p, 2), 2, 2, 4, eta, r, x[b], resets[b]), None

    compare(module, twin_row, module.initial_state(2), x, resets)


def test_transformer():
    config = MEMORIES["transformer"]
    module = build(config, width=config.width)
    x, resets = segment(module, 2, STEPS, rate=0.2)
    p = dict(module.named_parameters())

    def twin_row(b):
        stream = x[b] + 0.1 * episode_positions(resets[b], config.width)
        tokens = window_transformer_twin(p, 2, 2, config.window, stream.unsqueeze(1), resets[b])
        return tokens.squeeze(1), None

    compare(module, twin_row, module.initial_state(2), x, resets)


def test_sliding():
    config = MEMORIES["sliding"]
    module = build(config)
    x, resets = segment(module, 2, STEPS, rate=0.2)
    p = dict(module.named_parameters())

    def twin_row(b):
        steps = []
        for t in range(STEPS):
            action = x[b, t, -1]
            steps.append(
                torch.stack(
                    [
                        p["class_token"][0],
                        p["observation.weight"] @ x[b, t, :-1] + p["observation.bias"],
                        p["reset.weight"][:, 0] * float(resets[b, t]) + p["reset.bias"],
                        p["action.weight"][:, 0] * action + p["action.bias"],
                    ]
                )
            )
        stream = torch.stack(steps) + 0.1 * episode_positions(resets[b], config.width).unsqueeze(1)
        tokens = window_transformer_twin(p, 2, 2, config.window, stream, resets[b])
        return tokens.mean(1), None

    compare(module, twin_row, module.initial_state(2), x, resets)


def episode_positions(resets, width):
    """Sinusoids of each step's position in its episode, the first step being the first of one."""
    rows, position = [], -1
    for t in range(len(resets)):
        position = 0 if resets[t] else position + 1
        rows.append(sinusoid(position, width))
    return torch.stack(rows)
