"""The seven laws that every architecture obeys, each a function that measures by how much it is broken.

`uv run python -m metta.agent.check NAME|all` prints them; tests/laws runs them over the whole registry. A law also
fails when it was not exercised: when memory that should matter changed nothing, or an episode boundary had no effect.
A broken law says what to do about it, and so does one that ends in an exception of the architecture's own code.

Every law builds its own policy from the configuration, with synthetic observations, and moves the weights away from
their initial values first: zero biases and a nearly constant actor would hide faults.

Axes: B batch rows, T time.
"""

import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from metta.agent.checkpoint import load_policy, save_policy
from metta.agent.form import broken_form, is_finite
from metta.agent.policies.config import PolicyConfig
from metta.agent.policy import AuxiliaryTargets, Policy, PolicyOutput
from metta.agent.spec import EnvironmentSpec
from metta.agent.state import State, concatenate, detach, leaves, map_state, rows
from metta.agent.synthetic import synthetic_observations

TOLERANCE = 5e-5
"""Largest difference relative to max(1, |target|) that rounding in float32 explains."""

EXERCISED = 1e-3
"""Least relative difference that memory must make to count as used: far above rounding, far below any real use."""

BATCH, STEPS, BOUNDARY = 3, 80, 40
"""Rows and steps of a test sequence, longer than the longest memory; half of it is one step past any boundary."""


class LawResult(NamedTuple):
    """What a law found."""

    number: int
    law: str
    passed: bool
    deviation: float
    """Largest relative difference measured; 0 is exact."""
    tolerance: float
    note: str
    """What failed and what to do about it, or what deviated most."""


class Sequences(NamedTuple):
    """Inputs of a policy."""

    observations: Tensor
    """uint8 [B, T, M, 3]."""
    resets: Tensor
    """bool [B, T]."""


def stepping_equals_one_pass(config: PolicyConfig, spec: EnvironmentSpec) -> LawResult:
    """1. One observation at a time gives what one pass over the sequence gives, and so do chunks of any size."""
    policy = moved_policy(config, spec)
    inputs = sequences(spec)
    broken = broken_form(policy, config, *_part(inputs, BOUNDARY, BOUNDARY + 4))  # one row of it begins with a reset
    if broken:
        return LawResult(1, "stepping equals one pass", False, float("inf"), TOLERANCE, broken)
    state = policy.initial_state(BATCH)
    with torch.no_grad():
        whole = policy(*inputs, state)
        again = policy(*inputs, state)
        deviations = {"the same pass again": difference(whole, again)}
        for name, sizes in (("single steps", [1] * STEPS), ("chunks", [7, 1, 33, 2, 37])):
            deviations[name] = difference(_in_chunks(policy, inputs, sizes), whole)
        inner = policy(*_part(inputs, 0, BOUNDARY), state).state
        fresh = policy(*_part(inputs, BOUNDARY, STEPS), state)
        carried = policy(*_part(inputs, BOUNDARY, STEPS), inner)
    unused = bool(list(leaves(inner))) and difference(fresh, carried) < EXERCISED
    problem = "state does not change outputs: use it, or have none" * unused
    if not (is_finite(whole.logits) and is_finite(whole.values)):
        problem = "outputs are not finite"
    remedy = (
        "what a step needs of earlier ones goes through the state, nothing comes from later ones, from chance or time"
    )
    return _result(1, "stepping equals one pass", deviations, TOLERANCE, problem, remedy)


def resets_start_afresh(config: PolicyConfig, spec: EnvironmentSpec) -> LawResult:
    """2. From a reset on, outputs are those of a fresh start and no gradient crosses it; plain LSTMs carry over.

    A fresh start is `initial_state`, whether its first step is flagged or not, unless memory reads the flag itself:
    probes put `initial_state` in the middle of an episode.
    """
    policy = moved_policy(config, spec)
    inputs = sequences(spec, with_resets=False)
    at_B = [BOUNDARY - 1, BOUNDARY, BOUNDARY + 6]
    marked = inputs.resets.clone()
    for row, at in enumerate(at_B):
        marked[row, at] = True
    used = policy.initial_state(BATCH)
    with torch.no_grad():
        used = policy(*sequences(spec, seed=7, with_resets=False), used).state
        with_reset = policy(inputs.observations, marked, used)
        without = policy(*inputs, used)
        deviations: dict[str, float] = {}
        for row, at in enumerate(at_B):
            tail = _part(Sequences(inputs.observations[row : row + 1], marked[row : row + 1]), at, STEPS)
            expected = policy(*tail, policy.initial_state(1))
            # Outputs alone: what a state holds of an earlier episode is masked, not erased.
            found = _rows_from(with_reset, row, at)._replace(state=())
            if config.memory.carries_over_resets:
                deviations["resets change nothing"] = difference(with_reset, without)
            else:
                deviation = difference(found, expected._replace(state=()))
                deviations["fresh start"] = max(deviations.get("fresh start", 0.0), deviation)
        first, begin = inputs.observations[:, :8], torch.zeros(BATCH, 8, dtype=torch.bool)
        unmarked = policy(first, begin, policy.initial_state(BATCH))
        begin[:, 0] = True
        flagged = policy(first, begin, policy.initial_state(BATCH))
    stateful = bool(list(leaves(used)))
    if config.memory.carries_over_resets:
        with torch.no_grad():
            fresh = policy(inputs.observations, marked, policy.initial_state(BATCH))
        lost = difference(fresh, with_reset) < EXERCISED
        problem = "memory does not carry over episode ends, though `carries_over_resets` says so" * lost
        remedy = "`carries_over_resets` promises that resets are ignored"
        return _result(2, "memory carries over resets, as stated", deviations, TOLERANCE, problem, remedy)
    crossing, inside = _gradients_over_boundary(policy, inputs, marked, used, at_B)
    deviations["gradient across the reset"] = crossing
    problem = ""
    if stateful and difference(with_reset, without) < EXERCISED:
        problem = (
            "the reset had no effect: in front of a step whose reset is set, put initial_state in the state's place"
        )
    elif stateful and inside == 0.0:
        problem = "no gradient reaches back even inside an episode: inputs or state are detached"
    remedy = "in front of a step whose reset is set, that row's state becomes exactly initial_state"
    if not config.memory.reads_resets:
        deviations["initial_state without a reset"] = difference(
            unmarked._replace(state=()), flagged._replace(state=())
        )
    return _result(2, "a reset starts afresh", deviations, TOLERANCE, problem, remedy)


def rows_are_independent(config: PolicyConfig, spec: EnvironmentSpec) -> LawResult:
    """3. Each row gives alone what it gives in a batch, in any order."""
    policy = moved_policy(config, spec)
    inputs = sequences(spec)
    # One row with few tokens, one with none: what the batch is cut to must not matter.
    inputs.observations[0, :, 9:] = 255
    inputs.observations[1, 5] = 255
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        used = policy(*sequences(spec, seed=7), policy.initial_state(BATCH)).state
        whole = policy(*inputs, used)
        alone = [
            policy(inputs.observations[b : b + 1], inputs.resets[b : b + 1], rows(used, slice(b, b + 1)))
            for b in range(BATCH)
        ]
        joined = PolicyOutput(
            torch.cat([output.logits for output in alone]),
            torch.cat([output.values for output in alone]),
            concatenate([output.state for output in alone]),
            {name: torch.cat([output.auxiliary[name] for output in alone]) for name in whole.auxiliary},
        )
        shuffled = policy(inputs.observations[order], inputs.resets[order], rows(used, order))
        back = torch.argsort(order)
        restored = PolicyOutput(
            shuffled.logits[back],
            shuffled.values[back],
            rows(shuffled.state, back),
            {name: value[back] for name, value in shuffled.auxiliary.items()},
        )
    deviations = {"each row alone": difference(joined, whole), "another order": difference(restored, whole)}
    rows_differ = difference(whole.logits[0], whole.logits[2]) > EXERCISED
    problem = "" if rows_differ else "all rows are equal: outputs do not depend on the observations"
    remedy = "no row may see another one or its place in the batch: no means, norms or counts over the batch"
    return _result(3, "rows are independent", deviations, TOLERANCE, problem, remedy)


def every_parameter_learns(config: PolicyConfig, spec: EnvironmentSpec) -> LawResult:
    """4. The loss gives every parameter a gradient, from the initial weights, that is finite and not zero.

    It gives one to nothing else: what learns is registered. As in training, no gradient goes into the first state.
    """
    policy = config.build(spec, seed=1)
    output = policy(*sequences(spec), detach(policy.initial_state(BATCH)))
    loss = training_loss(policy, output, sequences(spec).resets)
    own = {id(parameter) for parameter in policy.parameters()}
    strangers = [list(tensor.shape) for tensor in _learning(loss) if id(tensor) not in own]
    loss.backward()
    without = [name for name, parameter in policy.named_parameters() if _largest(parameter.grad) == 0.0]
    unsound = [name for name, parameter in policy.named_parameters() if not is_finite(parameter.grad)]
    problem = (
        f"no gradient: {_named(without)}: use them, detach nothing on their way to the loss, or delete them"
        if without
        else ""
    )
    problem = f"gradients are not finite: {_named(unsound)}" if unsound else problem
    if strangers:
        problem = (
            f"a tensor of shape {strangers[0]} learns but is no parameter of the policy: make it an nn.Parameter of "
            "its module, and put modules into an attribute or an nn.ModuleList"
        )
    share = len(without + unsound) / len(list(policy.parameters()))
    return _result(4, "every parameter learns", {"share of parameters without a gradient": share}, 0.0, problem)


def computes_its_own(
    name: str, config: PolicyConfig, others: Mapping[str, PolicyConfig], spec: EnvironmentSpec
) -> LawResult:
    """5. No other architecture builds the same computation: the same operations with the same results."""
    own = fingerprint(config, spec)
    twins = [other for other, its in others.items() if other != name and fingerprint(its, spec) == own]
    problem = f"the same computation as {', '.join(twins)}" if twins else ""
    return _result(5, "computes what no other does", {"architectures that compute the same": len(twins)}, 0.0, problem)


def state_and_precision_survive(config: PolicyConfig, spec: EnvironmentSpec) -> LawResult:
    """6. The state survives saving, detaching and a move between devices; in bfloat16 outputs stay finite."""
    policy = moved_policy(config, spec)
    inputs = sequences(spec)
    first, second = _part(inputs, 0, BOUNDARY), _part(inputs, BOUNDARY, STEPS)
    state = policy(*first, policy.initial_state(BATCH)).state
    with torch.no_grad():
        expected = policy(*second, state)
        deviations = {"detached": difference(policy(*second, detach(state)), expected)}
        with tempfile.TemporaryDirectory() as folder:
            deviations["saved"] = difference(policy(*second, _through_file(state, Path(folder))), expected)
        if torch.cuda.is_available():
            moved = map_state(lambda leaf: leaf.to("cuda").to("cpu"), detach(state))
            deviations["moved to the GPU and back"] = difference(policy(*second, moved), expected)
            there = policy.to("cuda")(*(part.to("cuda") for part in second), map_state(lambda leaf: leaf.cuda(), state))
            # Other kernels and other orders of summation: outputs agree less closely than on one device.
            home = difference(there.logits.cpu(), expected.logits)
            deviations["computed on the GPU"] = home * TOLERANCE / 2e-3
            policy.to("cpu")
        half = moved_policy(config, spec).to(torch.bfloat16)
        half_state = half.initial_state(BATCH)
        for part in (first, second):
            output = half(*part, half_state)
            half_state = output.state
    finite = all(is_finite(tensor) for tensor in (output.logits, output.values, *leaves(output.state)))
    kept = output.logits.dtype == torch.bfloat16
    problem = "not finite in bfloat16" if not finite else "bfloat16 is not kept" * (not kept)
    remedy = "all that outputs depend on is in the arguments, the parameters and the state's tensors"
    return _result(6, "state survives, bfloat16 is finite", deviations, TOLERANCE, problem, remedy)


def rebuilt_from_checkpoint(config: PolicyConfig, spec: EnvironmentSpec) -> LawResult:
    """7. A policy rebuilt from its two files alone gives the same outputs, to the last bit; seeds decide first weights.

    The same seed gives the same first weights, and a part does not seed torch's generator itself.
    """
    law, policy = "rebuilt from a checkpoint", moved_policy(config, spec)
    problem = _shared_names(policy) or _not_of_the_seed(config, spec)
    if problem:
        return LawResult(7, law, False, float("inf"), 0.0, problem)
    inputs = sequences(spec)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_policy(Path(folder), policy, config, "checked")
        again = load_policy(Path(folder)).policy
        deviation = difference(again(*inputs, again.initial_state(BATCH)), policy(*inputs, policy.initial_state(BATCH)))
    remedy = "all that outputs depend on is a parameter, a buffer or a field of the configuration"
    return _result(7, law, {"outputs": deviation}, 0.0, "", remedy)


def check(
    name: str, config: PolicyConfig, others: Mapping[str, PolicyConfig], spec: EnvironmentSpec
) -> Iterator[LawResult]:
    """All seven laws on one architecture; `others` are those it must differ from.

    A law in which the architecture raises an exception is broken, and the others are still tried.
    """
    laws: Sequence[tuple[Callable[..., LawResult], tuple[object, ...]]] = (
        (stepping_equals_one_pass, (config, spec)),
        (resets_start_afresh, (config, spec)),
        (rows_are_independent, (config, spec)),
        (every_parameter_learns, (config, spec)),
        (computes_its_own, (name, config, others, spec)),
        (state_and_precision_survive, (config, spec)),
        (rebuilt_from_checkpoint, (config, spec)),
    )
    for number, (law, arguments) in enumerate(laws, 1):
        try:
            yield law(*arguments)
        except Exception as error:  # of code that is not ours: whatever it raises is what there is to report
            yield LawResult(number, law.__name__.replace("_", " "), False, float("inf"), 0.0, _raised(error))


def moved_policy(config: PolicyConfig, spec: EnvironmentSpec) -> Policy:
    """A policy whose weights are away from their initial values, and whose logits are of order 1."""
    policy = config.build(spec, seed=1)
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in filter(Tensor.is_floating_point, policy.parameters()):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=random))
    return policy


@lru_cache(maxsize=4)
def _observations(spec: EnvironmentSpec, seed: int) -> Tensor:
    return torch.from_numpy(synthetic_observations(spec, BATCH * STEPS, seed))


def sequences(spec: EnvironmentSpec, seed: int = 3, with_resets: bool = True) -> Sequences:
    """Observations and a few resets: at a first step, twice in a row, and shortly before the end."""
    observations = _observations(spec, seed).clone()
    resets = torch.zeros(BATCH, STEPS, dtype=torch.bool)
    if with_resets:
        resets[0, 0] = resets[1, BOUNDARY] = resets[1, BOUNDARY + 1] = resets[2, STEPS - 3] = True
    return Sequences(observations.unflatten(0, (BATCH, STEPS)), resets)


def training_loss(policy: Policy, output: PolicyOutput, resets: Tensor) -> Tensor:
    """A loss with all terms that training has: actions, entropy, values, auxiliary predictions."""
    random = torch.Generator().manual_seed(4)
    batch, steps, num_actions = output.logits.shape
    weights = torch.randn(batch, steps, num_actions, generator=random)
    targets = torch.randn(batch, steps, generator=random)
    log_probabilities = output.logits.log_softmax(-1)
    loss = (log_probabilities * weights).mean() + (log_probabilities.exp() * log_probabilities).mean()
    loss = loss + (output.values - targets).square().mean()
    if policy.auxiliary is not None:
        given = AuxiliaryTargets(targets, -targets, resets)
        known = AuxiliaryTargets(*map(torch.clone, given))
        losses = policy.auxiliary.losses(output.auxiliary, known)
        if not isinstance(losses, Mapping) or any(
            not isinstance(each, Tensor) or each.dim() for each in losses.values()
        ):
            raise ValueError("the auxiliary losses are not a dictionary of scalar tensors by name")
        if not all(map(torch.equal, given, known)):
            raise ValueError("the auxiliary losses change their targets in place")
        loss = loss + sum(losses.values())
    return loss


@lru_cache(maxsize=64)
def fingerprint(config: PolicyConfig, spec: EnvironmentSpec) -> tuple[Any, ...]:
    """What a policy computes: its operations in order, and its outputs for given weights and inputs (4 digits).

    The fused and the plain Transformer-XL give the same outputs by different operations.
    """
    policy = moved_policy(config, spec)
    inputs = sequences(spec)
    with torch.no_grad(), _operations() as operations:
        output = policy(*inputs, policy.initial_state(BATCH))
    numbers = torch.cat([part.flatten() for part in (output.logits, output.values, *output.auxiliary.values())])
    rounded = (numbers[:: max(1, len(numbers) // 64)] * 1e4).round().tolist()
    return tuple(operations), tuple(rounded), tuple(sorted(output.auxiliary))


def difference(found: Any, target: Any) -> float:
    """Largest |found - target| / max(1, |target|) over all tensors of two equal structures; infinite if not finite."""
    if isinstance(found, Tensor):
        if found.shape != target.shape or found.dtype != target.dtype:
            return float("inf")
        found, target = found.detach().double(), target.detach().double()
        if not found.numel():
            return 0.0
        worst = ((found - target).abs() / target.abs().clamp(min=1.0)).max().item()
        return float("inf") if worst != worst else float(worst)
    if isinstance(found, Mapping):
        return max((difference(found[key], target[key]) for key in target), default=0.0)
    return max((difference(a, b) for a, b in zip(found, target, strict=True)), default=0.0)


@contextmanager
def _operations() -> Iterator[list[str]]:
    """Record names and result shapes of torch's operations."""
    record: list[str] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            record.append(f"{function}{tuple(result.shape) if isinstance(result, Tensor) else ''}")
            return result

    with Recorder():
        yield record


def _result(
    number: int, law: str, deviations: Mapping[str, float], tolerance: float, problem: str, remedy: str = ""
) -> LawResult:
    """`problem`: what is wrong in spite of the deviations. `remedy`: what to do where they are too large."""
    worst = max(deviations, key=lambda name: deviations[name])
    beyond = [name for name, deviation in deviations.items() if deviation > tolerance]
    note = problem or (f"{', '.join(beyond)}: {remedy}" if beyond and remedy else f"largest: {worst}")
    return LawResult(number, law, not (problem or beyond), deviations[worst], tolerance, note)


def _raised(error: Exception) -> str:
    """An exception in one line, with the last line of code outside torch that it came through."""
    torchs = str(Path(torch.__file__).parent)
    frames = list(traceback.extract_tb(error.__traceback__))
    others = (__file__, torchs, "<frozen ")
    frames = [each for each in frames if not each.filename.startswith(others)] or frames
    said = " ".join(str(error).split())
    at = f"{frames[-1].filename}, line {frames[-1].lineno}, in {frames[-1].name}"
    return f"raises {type(error).__name__}{f': {said[:200]}' * bool(said)} ({at})"


def _named(names: Sequence[str]) -> str:
    """A few of the names."""
    return ", ".join(names[:5]) + f" and {len(names) - 5} more" * (len(names) > 5)


def _learning(loss: Tensor) -> Iterator[Tensor]:
    """Every tensor that a backward pass from `loss` gives a gradient."""
    nodes, met = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in met:
            continue
        met.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        nodes.extend(before for before, _ in node.next_functions)


def _shared_names(policy: Policy) -> str:
    """A complaint about two names of one tensor, which safetensors does not store; else empty."""
    names: dict[int, str] = {}
    for name, tensor in policy.state_dict().items():
        other = names.setdefault(tensor.untyped_storage().data_ptr(), name)
        if other != name and tensor.numel():
            return f"{other} and {name} share memory, which a checkpoint cannot hold: register the tensor once"
    return ""


def _not_of_the_seed(config: PolicyConfig, spec: EnvironmentSpec) -> str:
    """A complaint about first weights that depend on something else than the seed, or not on it; else empty."""
    first, again = (config.build(spec, seed=1).state_dict() for _ in range(2))
    for name, tensor in first.items():
        if not torch.equal(tensor, again[name]):
            return f"{name} differs between two builds with one seed: draw from torch's generator alone"
    width = config.encoder.output_width
    parts: dict[str, Callable[[], object]] = {
        "perception": lambda: config.encoder.build(spec.perceived()),
        "memory": lambda: config.memory.build(width),
        "auxiliary": lambda: config.auxiliary and config.auxiliary.build(width, config.memory_width),
    }
    with torch.random.fork_rng(devices=[]):
        for part, build in parts.items():
            ends = []
            for seed in (1, 2):
                torch.default_generator.manual_seed(seed)
                build()
                ends.append(torch.get_rng_state())
            if torch.equal(*ends):
                return f"building the {part} seeds torch's generator, so every seed has the same first weights"
    return ""


def _part(inputs: Sequences, start: int, end: int) -> Sequences:
    return Sequences(inputs.observations[:, start:end], inputs.resets[:, start:end])


def _in_chunks(policy: Policy, inputs: Sequences, sizes: Sequence[int]) -> PolicyOutput:
    state, start, outputs = policy.initial_state(len(inputs.resets)), 0, []
    for size in sizes:
        outputs.append(policy(*_part(inputs, start, start + size), state))
        state, start = outputs[-1].state, start + size
    if start != inputs.resets.shape[1]:
        raise ValueError(f"chunks cover {start} of {inputs.resets.shape[1]} steps")
    return PolicyOutput(
        torch.cat([output.logits for output in outputs], 1),
        torch.cat([output.values for output in outputs], 1),
        state,
        {name: torch.cat([output.auxiliary[name] for output in outputs], 1) for name in outputs[0].auxiliary},
    )


def _rows_from(output: PolicyOutput, row: int, start: int) -> PolicyOutput:
    return PolicyOutput(
        output.logits[row : row + 1, start:],
        output.values[row : row + 1, start:],
        rows(output.state, slice(row, row + 1)),
        {name: value[row : row + 1, start:] for name, value in output.auxiliary.items()},
    )


def _gradients_over_boundary(
    policy: Policy, inputs: Sequences, marked: Tensor, state: State, at_B: Sequence[int]
) -> tuple[float, float]:
    """Largest gradient of the outputs from the reset on in what came before it, with and without the reset."""
    with torch.no_grad():
        width = policy.encoder(inputs.observations[:1, :1]).shape[-1] + getattr(policy.memory, "extra_inputs", 0)
    x_BTD = torch.randn(BATCH, STEPS, width, generator=torch.Generator().manual_seed(5))
    largest = []
    for resets in (marked, inputs.resets):
        x_BTD = x_BTD.detach().requires_grad_()
        leaves_ = [leaf.detach().requires_grad_() for leaf in leaves(state) if leaf.is_floating_point()]
        remaining = iter(leaves_)
        tracked = map_state(lambda leaf: next(remaining) if leaf.is_floating_point() else leaf, state)  # noqa: B023
        y_BTD, _ = policy.memory(x_BTD, resets, tracked)
        after = torch.stack([y_BTD[row, at:].square().sum() for row, at in enumerate(at_B)]).sum()
        gradients = torch.autograd.grad(after, [x_BTD, *leaves_], allow_unused=True)
        before = [] if gradients[0] is None else [gradients[0][row, :at] for row, at in enumerate(at_B)]
        largest.append(max(_largest(gradient) for gradient in (*before, *gradients[1:])))
    return largest[0], largest[1]


def _through_file(state: State, folder: Path) -> State:
    """The state written to a file and read back."""
    from safetensors.torch import load_file, save_file

    tensors = {str(i): leaf.detach().contiguous().clone() for i, leaf in enumerate(leaves(state))}
    save_file(tensors, folder / "state.safetensors")
    read = load_file(folder / "state.safetensors")
    remaining = iter(range(len(tensors)))
    return map_state(lambda _: read[str(next(remaining))], state)


def _largest(gradient: Tensor | None) -> float:
    return 0.0 if gradient is None or not gradient.numel() else float(gradient.abs().max())
