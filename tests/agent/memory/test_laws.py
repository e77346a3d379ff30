"""The laws of a memory, each over every kind: chunks, resets, rows, state, precision, threads."""

import threading

import pytest
import torch

from metta.agent.state import concatenate, detach, leaves, map_state, rows
from tests.agent.memory.cases import MEMORIES, build, close, segment

KINDS = pytest.mark.parametrize("kind", MEMORIES)
WITH_RESETS = pytest.mark.parametrize("kind", [kind for kind in MEMORIES if kind not in ("none", "plain_lstm")])


def warm(module, rows_, dtype=torch.float64):
    """A state in the middle of an episode for most rows."""
    x, resets = segment(module, rows_, 9, dtype, seed=7)
    return detach(module(x, resets, module.initial_state(rows_))[1])


@KINDS
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("chunk", [1, 2, 7, 32, 33])
def test_any_chunking_gives_the_same(kind, dtype, tolerance, chunk):
    module = build(MEMORIES[kind], dtype)
    x, resets = segment(module, 4, 40, dtype)
    start = warm(module, 4, dtype)
    whole, end = module(x, resets, start)
    parts, state = [], start
    for t in range(0, 40, chunk):
        y, state = module(x[:, t : t + chunk], resets[:, t : t + chunk], state)
        parts.append(y)
    close(torch.cat(parts, 1), whole, tolerance)
    for found, target in zip(leaves(state), leaves(end), strict=True):
        assert found.dtype == target.dtype
        close(found.double(), target.double(), tolerance)


@WITH_RESETS
@pytest.mark.parametrize("at", [0, 1, 17, 39])
def test_a_reset_starts_afresh_and_stops_gradients(kind, at):
    module = build(MEMORIES[kind])
    x, resets = segment(module, 3, 40)
    resets[:, at] = True
    x.requires_grad_()
    state = map_state(lambda leaf: leaf.requires_grad_() if leaf.is_floating_point() else leaf, warm(module, 3))
    y, _ = module(x, resets, state)
    fresh, _ = module(x[:, at:], resets[:, at:], module.initial_state(3))
    close(y[:, at:], fresh, 1e-12)
    carried = [leaf for leaf in leaves(state) if leaf.requires_grad]
    (gradient, *into_state) = torch.autograd.grad(y[:, at:].square().sum(), [x, *carried], allow_unused=True)
    assert not gradient[:, :at].any()
    assert gradient[:, at:].any(2).double().mean() > 0.9  # a ReLU may be dead for all units of a step
    for part in into_state:
        assert part is None or not part.any()


def test_plain_lstm_carries_over_resets():
    module = build(MEMORIES["plain_lstm"])
    x, resets = segment(module, 3, 20)
    assert resets.any()
    y, _ = module(x, resets, module.initial_state(3))
    same, _ = module(x, torch.zeros_like(resets), module.initial_state(3))
    assert torch.equal(y, same)


@WITH_RESETS
def test_memory_is_used(kind):
    module = build(MEMORIES[kind])
    x, _ = segment(module, 2, 12)
    resets = torch.zeros(2, 12, dtype=torch.bool)
    changed = x.clone()
    changed[:, 3] += 1.0
    y, _ = module(x, resets, module.initial_state(2))
    z, _ = module(changed, resets, module.initial_state(2))
    assert torch.equal(y[:, :3], z[:, :3])
    assert (y[:, 4] - z[:, 4]).abs().min() > 1e-6


@pytest.mark.parametrize("kind", ["sliding", "transformer", "gtrxl_raw_query"])
def test_window_ends_where_it_should(kind):
    config = MEMORIES[kind].model_copy(update={"num_layers": 1})
    module = build(config)
    x, _ = segment(module, 2, 40)
    resets = torch.zeros(2, 40, dtype=torch.bool)
    changed = x.clone()
    changed[:, 30] += 1.0
    y, _ = module(x, resets, warm(module, 2))
    z, _ = module(changed, resets, warm(module, 2))
    differs = ((y - z).abs() > 1e-12).any(2).all(0)
    assert differs.nonzero().flatten().tolist() == list(range(30, 36))


@KINDS
def test_rows_are_independent(kind):
    module = build(MEMORIES[kind])
    x, resets = segment(module, 5, 20)
    state = warm(module, 5)
    y, end = module(x, resets, state)
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted, permuted_end = module(x[order], resets[order], rows(state, order))
    close(permuted, y[order], 1e-12)
    alone = [module(x[b : b + 1], resets[b : b + 1], rows(state, slice(b, b + 1))) for b in range(5)]
    close(torch.cat([part for part, _ in alone]), y, 1e-12)
    if end:
        joined = concatenate([part for _, part in alone])
        for found, other, target in zip(leaves(joined), leaves(permuted_end), leaves(end), strict=True):
            close(found.double(), target.double(), 1e-12)
            close(other.double(), target[order].double(), 1e-12)


@KINDS
def test_state_is_batch_first_compact_and_not_written_to(kind):
    module = build(MEMORIES[kind])
    x, resets = segment(module, 3, 40)
    state = warm(module, 3)
    copy = map_state(torch.clone, state)
    for steps in (1, 40):
        _, end = module(x[:, :steps], resets[:, :steps], state)
        for leaf in leaves(end):
            assert leaf.shape[0] == 3
            assert leaf.untyped_storage().nbytes() <= 1.25 * leaf.numel() * leaf.element_size()
        for before, after in zip(leaves(copy), leaves(state), strict=True):
            assert torch.equal(before, after)


@KINDS
def test_every_parameter_is_trained_and_no_buffer_is_kept(kind):
    module = build(MEMORIES[kind])
    x, resets = segment(module, 3, 20)
    y, _ = module(x, resets, warm(module, 3))
    weights = torch.randn_like(y)
    parameters = dict(module.named_parameters())
    if parameters:
        gradients = torch.autograd.grad((y * weights).sum(), list(parameters.values()))
        for name, gradient in zip(parameters, gradients, strict=True):
            assert gradient.any(), name
    assert not list(module.buffers())


@KINDS
def test_finite_in_bfloat16(kind):
    module = build(MEMORIES[kind], torch.bfloat16)
    x, resets = segment(module, 3, 40, torch.bfloat16)
    y, state = module(100 * x, resets, module.initial_state(3))
    y, state = module(x, resets, state)
    assert y.dtype == torch.bfloat16
    assert y.isfinite().all()
    for leaf in leaves(state):
        assert leaf.dtype != torch.float32
        assert leaf.isfinite().all()


@KINDS
def test_two_threads_share_a_module(kind):
    module = build(MEMORIES[kind], torch.float32)
    parameters = list(module.parameters())
    jobs = [segment(module, 8, 40, torch.float32, seed=seed) for seed in range(2)]

    def work(job):
        torch.set_num_threads(1)
        x, resets = job
        y, _ = module(x, resets, module.initial_state(8))
        return [y, *(torch.autograd.grad(y.square().sum(), parameters) if parameters else [])]

    expected = [work(job) for job in jobs]
    found = [None, None]

    def run(index):
        for _ in range(5):
            found[index] = work(jobs[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target, result in zip(expected, found, strict=True):
        for one, other in zip(target, result, strict=True):
            assert torch.equal(one, other)
