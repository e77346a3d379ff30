"""The seven laws of a policy over every registered architecture, and that each law catches what breaks it."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent import laws
from metta.agent.memory.config import LSTMConfig, NoMemoryConfig
from metta.agent.parts import AuxiliaryConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig
from metta.agent.policies.fast import FastConfig
from metta.agent.policy import Auxiliary
from metta.agent.spec import arena_spec

SPEC = arena_spec()


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_all_laws(name):
    verdicts = list(laws.check(name, ARCHITECTURES[name], ARCHITECTURES, SPEC))
    assert [verdict.number for verdict in verdicts] == [1, 2, 3, 4, 5, 6, 7]
    assert all(verdict.passed for verdict in verdicts), [v for v in verdicts if not v.passed]


def test_the_registry_has_the_documented_thirteen():
    documented = "vit vit_sliding vit_reset transformer fast fast_lstm_reset fast_dynamics memory_free agalite gtrxl"
    assert {*documented.split(), "trxl", "trxl_nvidia", "puffer"} <= set(ARCHITECTURES)


class Faulty(nn.Module):
    """A running sum of perceptions with one fault of choice."""

    extra_inputs = 0

    def __init__(self, fault, width):
        super().__init__()
        self.fault, self.width = fault, width
        self.weight = nn.Parameter(torch.ones(width))
        self.unused = nn.Parameter(torch.ones(1))
        self.hidden = None
        self.calls = 0
        self.register_buffer("mean", torch.zeros(width))
        if fault == "no extra inputs":
            self.extra_inputs = None
        elif fault == "weights in a list":
            self.layers = [nn.Linear(width, width)]
        elif fault == "two names":
            self.same = self.weight
        elif fault == "weights from numpy":
            self.weight.data = torch.from_numpy(np.random.default_rng().random(width, np.float32))

    def initial_state(self, batch, device=None, dtype=None):
        if self.fault == "dtype ignored":
            dtype = None
        elif self.fault == "device ignored":
            device = None
        size = (self.width, batch) if self.fault == "batch last" else (batch, self.width)
        zeros = torch.zeros(size, device=device, dtype=dtype)
        if self.fault == "no tuple":
            return {"total": zeros}
        if self.fault == "random start":
            return (torch.randn_like(zeros),)
        return (zeros + 1 if self.fault == "another start than after a reset" else zeros,)

    def forward(self, x, resets, state):
        (total,) = state
        given = total
        if self.fault == "in place":
            total *= 0.5
        elif self.fault == "running mean":
            self.mean.mul_(0.9).add_(x.detach().mean((0, 1)), alpha=0.1)
        elif self.fault == "noise":
            x = x + 0.01 * torch.randn_like(x)
        elif self.fault == "looks ahead":
            x = x + 0.1 * x.roll(-1, 1)
        elif self.fault == "place in the batch":
            x = x + 0.1 * torch.arange(len(x)).view(-1, 1, 1)
        elif self.fault == "not finite":
            x = x / 0.0
        elif self.fault == "raises":
            raise KeyError("no such thing")
        if self.fault == "hidden state" and self.hidden is not None:
            total = self.hidden[: len(total)].expand(len(total), -1)
        outputs = []
        for t in range(x.shape[1]):
            keep = (~resets[:, t]).to(x.dtype).unsqueeze(-1)
            if self.fault == "ignores resets":
                keep = torch.ones_like(keep)
            elif self.fault == "resets a step late" and t:
                keep = (~resets[:, t - 1]).to(x.dtype).unsqueeze(-1)
            total = total * keep * 0.9 + (0.0 if self.fault == "forgets" else x[:, t])
            if self.fault == "loses what begins an episode":
                total = total * keep
            if self.fault == "gradient leaks":
                total = total + (x[:, max(t - 1, 0)] - x[:, max(t - 1, 0)].detach())
            mixed = total.mean(0, keepdim=True) if self.fault == "mixes rows" else 0.0
            offset = 0.0 if self.fault == "parameter without a use" else self.unused
            outputs.append(x[:, t] + self.weight * total + mixed + offset)
        if self.fault == "hidden state":
            self.hidden = total.detach()
        if self.fault == "infinite in bfloat16" and x.dtype == torch.bfloat16:
            outputs[0] = outputs[0] / 0.0
        elif self.fault == "loses precision":
            total = total * 1.01
        y = torch.stack(outputs, 1)
        if self.fault == "weights in a list":
            y = y + self.layers[0](y)
        elif self.fault == "two widths":
            y = torch.cat([y, y], 2)
        elif self.fault == "another state":
            return y, (total, given)
        return y, (total,)


class FaultyConfig(MemoryConfig):
    """Configuration of the faulty memory."""

    kind: Literal["faulty"] = "faulty"
    fault: str = "none"

    def output_width(self, input_width):
        return input_width

    def build(self, input_width):
        if self.fault == "seeds":
            torch.manual_seed(0)
        return Faulty(self.fault, input_width)


class FaultyCarryConfig(FaultyConfig):
    """The same, said to carry memory over episode ends."""

    kind: Literal["faulty_carry"] = "faulty_carry"

    @property
    def carries_over_resets(self):
        return True


class FlagReadingConfig(FaultyConfig):
    """The same, said to read the flag."""

    kind: Literal["faulty_flag"] = "faulty_flag"

    @property
    def reads_resets(self):
        return True


class FaultyPredictions(Auxiliary):
    """Two predictions with one fault of choice."""

    def __init__(self, fault, width):
        super().__init__()
        self.fault = fault
        self.reward, self.value = nn.Linear(width, 1), nn.Linear(width, 1)

    def forward(self, perception, memory):
        reward = self.reward(memory).squeeze(-1)
        value = self.value(memory).squeeze(-1)
        return {"reward": reward.mean() if self.fault == "one for all" else reward, "value": value}

    def losses(self, predictions, targets):
        if self.fault == "changes targets":
            targets.returns.mul_(0.1)
        reward = (predictions["reward"] - targets.rewards).square()
        value = (predictions["value"] - targets.returns).square().mean()
        if self.fault == "forgotten":
            return {"value": value}
        return {"reward": reward if self.fault == "no mean" else reward.mean(), "value": value}


class FaultyPredictionsConfig(AuxiliaryConfig):
    """Configuration of the faulty predictions."""

    kind: Literal["faulty_predictions"] = "faulty_predictions"
    fault: str = "none"

    def build(self, perception_width, memory_width):
        return FaultyPredictions(self.fault, memory_width)


def faulty(fault):
    return FastConfig(memory=FaultyConfig(fault=fault))


def predicting(fault):
    return FastConfig(auxiliary=FaultyPredictionsConfig(fault=fault))


def broken(config):
    """Law -> what it says, of the laws that are broken."""
    return {found.number: found.note for found in laws.check("one", config, {}, SPEC) if not found.passed}


@pytest.mark.parametrize(
    ("law", "fault"),
    [
        (laws.stepping_equals_one_pass, "hidden state"),
        (laws.stepping_equals_one_pass, "loses precision"),
        (laws.stepping_equals_one_pass, "forgets"),
        (laws.stepping_equals_one_pass, "resets a step late"),
        (laws.resets_start_afresh, "ignores resets"),
        (laws.resets_start_afresh, "resets a step late"),
        (laws.resets_start_afresh, "forgets"),
        (laws.resets_start_afresh, "gradient leaks"),
        (laws.rows_are_independent, "mixes rows"),
        (laws.every_parameter_learns, "parameter without a use"),
        (laws.state_and_precision_survive, "infinite in bfloat16"),
    ],
)
def test_each_law_catches_what_breaks_it(law, fault):
    assert not law(faulty(fault), SPEC).passed


@pytest.mark.parametrize(
    ("config", "law", "sentence"),
    [
        (faulty("no extra inputs"), 1, "write `extra_inputs = 0` into its class"),
        (faulty("no tuple"), 1, "initial_state returns a dict, not a tensor or a tuple"),
        (faulty("batch last"), 1, "the batch must come first"),
        (faulty("random start"), 1, "initial_state does not return the same numbers every time"),
        (faulty("dtype ignored"), 1, "initial_state ignores the dtype"),
        (faulty("device ignored"), 1, "initial_state ignores the device"),
        (
            faulty("another state"),
            1,
            "returns the state (float32 [3, 128], float32 [3, 128]), but initial_state returns",
        ),
        (faulty("two widths"), 1, "returns y as float32 [3, 4, 256] for x [3, 4, 128]; its output_width is 128"),
        (faulty("in place"), 1, "changes tensor 0 of the state in place"),
        (faulty("running mean"), 1, "changes the buffer memory.mean in place"),
        (faulty("not finite"), 1, "not finite"),
        (faulty("noise"), 1, "the same pass again"),
        (faulty("looks ahead"), 1, "nothing comes from later ones"),
        (faulty("ignores resets"), 2, "put initial_state in the state's place"),
        (faulty("loses what begins an episode"), 2, "initial_state without a reset"),
        (faulty("another start than after a reset"), 2, "becomes exactly initial_state"),
        (faulty("place in the batch"), 3, "its place in the batch"),
        (faulty("weights in a list"), 4, "a tensor of shape [128, 128] learns but is no parameter"),
        (faulty("weights in a list"), 7, "all that outputs depend on is a parameter"),
        (faulty("two names"), 7, "memory.weight and memory.same share memory"),
        (faulty("weights from numpy"), 7, "memory.weight differs between two builds with one seed"),
        (faulty("seeds"), 7, "building the memory seeds torch's generator"),
        (faulty("raises"), 3, "raises KeyError: 'no such thing' ("),
        (predicting("one for all"), 1, "the auxiliary prediction reward is float32 []"),
        (predicting("forgotten"), 4, "no gradient: auxiliary.reward.weight, auxiliary.reward.bias"),
        (predicting("no mean"), 4, "not a dictionary of scalar tensors"),
        (predicting("changes targets"), 4, "change their targets in place"),
    ],
)
def test_a_broken_law_says_what_to_do(config, law, sentence):
    assert sentence in broken(config)[law]


def test_predictions_without_a_fault_break_no_law():
    assert not broken(predicting("none"))


def test_a_memory_that_reads_the_flag_may_say_so():
    told = FastConfig(memory=FlagReadingConfig(fault="loses what begins an episode"))
    assert laws.resets_start_afresh(told, SPEC).passed


def test_building_leaves_global_randomness_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert not laws.rebuilt_from_checkpoint(faulty("seeds"), SPEC).passed
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "law",
    [
        laws.stepping_equals_one_pass,
        laws.resets_start_afresh,
        laws.rows_are_independent,
        laws.every_parameter_learns,
        laws.state_and_precision_survive,
        laws.rebuilt_from_checkpoint,
    ],
)
def test_the_same_memory_without_the_fault_passes(law):
    verdict = law(faulty("none"), SPEC)
    assert verdict.passed, verdict


def test_memory_said_to_carry_over_must_carry_over():
    assert not laws.resets_start_afresh(FastConfig(memory=FaultyCarryConfig()), SPEC).passed
    assert laws.resets_start_afresh(FastConfig(memory=FaultyCarryConfig(fault="ignores resets")), SPEC).passed


def test_a_renamed_copy_is_the_same_computation():
    class Renamed(FastConfig):
        """fast under another name."""

    others = {"fast": FastConfig()}
    assert not laws.computes_its_own("renamed", Renamed(), others, SPEC).passed
    assert laws.computes_its_own("narrow", FastConfig(actor={"hidden": (64,)}), others, SPEC).passed
    assert laws.computes_its_own("fast", FastConfig(), others, SPEC).passed


def test_any_memory_goes_with_any_perception():
    memories = [config.memory for config in ARCHITECTURES.values()]
    perceptions = [ARCHITECTURES[name].encoder for name in ("gtrxl", "fast", "puffer")]
    inputs = laws.sequences(SPEC)
    for memory in {type(memory): memory for memory in memories}.values():
        for perception in perceptions:
            policy = PolicyConfig(encoder=perception, memory=memory).build(SPEC, seed=0)
            observations, resets = inputs.observations[:, :4], inputs.resets[:, :4]
            with torch.no_grad():
                output = policy(observations, resets, policy.initial_state(len(resets)))
            assert output.logits.shape == (laws.BATCH, 4, SPEC.num_actions)
            assert torch.isfinite(output.logits).all()


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = FastConfig().build(SPEC, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again, other = FastConfig().build(SPEC, seed=3), FastConfig().build(SPEC, seed=4)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert any(not torch.equal(t, other.state_dict()[n]) for n, t in first.state_dict().items())


def test_plain_and_reset_lstm_have_the_same_first_weights():
    plain = FastConfig().build(SPEC, seed=3).state_dict()
    other_memory = FastConfig(memory=NoMemoryConfig()).build(SPEC, seed=3).state_dict()
    reset = FastConfig(memory=LSTMConfig(width=128, num_layers=2)).build(SPEC, seed=3).state_dict()
    assert all(torch.equal(plain[name], reset[name]) for name in plain)
    assert all(torch.equal(plain[name], other_memory[name]) for name in plain if name.startswith("encoder."))
