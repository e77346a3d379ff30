"""The slow, obvious twin of the arena simulator: one world, plain Python, written from the page of mechanics alone.

It exists to be compared with `metta.sim`, so it shares no code with it. Nothing here is fast and nothing is clever:
objects are dataclasses, inventories are dictionaries, every rule is a few lines in the order in which the page states
it. Its configuration is the JSON of a recorded case (the `config` of tests/data/conformance/*.npz) as a dictionary.

It draws no random numbers: the permutation of a step is an argument, and so are the answers of rounds.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RESOURCES = (
    "ore_red",
    "ore_blue",
    "ore_green",
    "battery_red",
    "battery_blue",
    "battery_green",
    "heart",
    "armor",
    "laser",
    "blueprint",
)
ACTIONS = (
    "noop",
    *("move_north", "move_south", "move_west", "move_east"),
    *("put_items", "get_items"),
    *(f"attack_{k}" for k in range(9)),
)
# Orientation id -> (row, column) step; north, south, west, east.
DIRECTIONS = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}
# Orientation id -> the direction to the agent's own left.
LEFT = {0: (0, -1), 1: (0, 1), 2: (1, 0), 3: (-1, 0)}
BYTE = 255  # the most of one item that anything can hold
PADDING = 255
ZERO = np.float32(0)


@dataclass
class Wall:
    """A cell that nothing enters."""

    type_id: int


@dataclass
class Converter:
    """An object that turns its recipe's inputs into outputs, at most one conversion at a time."""

    name: str
    type_id: int
    row: int
    column: int
    inputs: dict[str, int]
    outputs: dict[str, int]
    max_output: int
    max_conversions: int
    ticks: int
    cooldown: int
    contents: dict[str, int] = field(default_factory=dict)
    conversions: int = 0
    converting_until: int | None = None  # the step in which the output appears
    cooling_until: int | None = None  # the step in which the cooldown ends

    def try_to_start(self, step: int) -> None:
        """Start converting in `step` if every condition holds; the inputs are gone from then on."""
        if self.converting_until is not None or self.cooling_until is not None:
            return
        held_outputs = sum(self.contents.get(item, 0) for item in self.outputs)
        if self.max_output != -1 and held_outputs >= self.max_output:
            return
        if self.max_conversions != -1 and self.conversions >= self.max_conversions:
            return
        if any(self.contents.get(item, 0) < amount for item, amount in self.inputs.items()):
            return
        for item, amount in self.inputs.items():
            self.contents[item] -= amount
        self.converting_until = step + self.ticks
        if self.ticks == 0:
            self.finish(step)

    def finish(self, step: int) -> None:
        """The output appears in `step`; cooldown follows, or with cooldown 0 the next conversion."""
        self.converting_until = None
        self.conversions += 1
        for item, amount in self.outputs.items():
            self.contents[item] = min(BYTE, self.contents.get(item, 0) + amount)
        if self.cooldown > 0:
            self.cooling_until = step + self.cooldown
        else:
            self.try_to_start(step)

    def handle_events(self, step: int) -> None:
        """Everything that is due in `step`: output appears, or cooldown ends and the next conversion starts."""
        if self.converting_until == step:
            self.finish(step)
        elif self.cooling_until == step:
            self.cooling_until = None
            self.try_to_start(step)

    def accept(self, item: str, amount: int, step: int) -> int:
        """Put up to `amount` inside; returns how many fitted."""
        moved = min(amount, BYTE - self.contents.get(item, 0))
        if moved > 0:
            self.contents[item] = self.contents.get(item, 0) + moved
            self.try_to_start(step)
        return moved

    def release(self, item: str, amount: int, step: int) -> int:
        """Take up to `amount` out; returns how many there were."""
        moved = min(amount, self.contents.get(item, 0))
        if moved > 0:
            self.contents[item] -= moved
            self.try_to_start(step)
        return moved


@dataclass
class Agent:
    """One player: where it is, what it holds, and what the next observation says about its last action."""

    row: int
    column: int
    limits: dict[str, int]  # every resource in id order -> the most of it the agent holds
    orientation: int = 0
    frozen: int = 0  # actions it still loses
    held: dict[str, int] = field(default_factory=dict)
    reward: np.float32 = ZERO
    potential: np.float32 = ZERO
    last_action: int = 0
    last_argument: int = 0
    success: bool = True
    answer: int = 0  # the action that pays in this round, where there are rounds
    cue: int = 0  # the same while it is shown
    rounds: int = 0  # begun
    stuck: bool = False  # was frozen when the step began, where there are rounds
    counts: Counter[str] = field(default_factory=Counter)  # what it did in this episode

    def room(self, item: str) -> int:
        """How many more of `item` the agent can take."""
        return self.limits[item] - self.held.get(item, 0)

    def gain(self, item: str, amount: int) -> None:
        """Add `amount`, which must fit."""
        self.counts[f"gained_{item}"] += amount
        self.held[item] = self.held.get(item, 0) + amount

    def lose(self, item: str, amount: int) -> None:
        """Remove `amount`, or all there is."""
        removed = min(amount, self.held.get(item, 0))
        self.counts[f"lost_{item}"] += removed
        self.held[item] = self.held.get(item, 0) - removed

    def inventory(self) -> list[int]:
        """The amounts held, in id order."""
        return [self.held.get(item, 0) for item in self.limits]


@dataclass
class TwinStep:
    """What one step returns: arrays with one row per agent A.

    observations uint8 [A, M, 3], rewards float32 [A], terminals, truncations and action_success bool [A].
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminals: np.ndarray
    truncations: np.ndarray
    action_success: np.ndarray


class ArenaTwin:
    """One episode of one world. `config` is a case's JSON as a dictionary; `rows` overrides its map.

    Where there are rounds, `answers` gives that of an agent's n-th one, from 0: answers(agent, n).
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        rows: Sequence[str] | None = None,
        answers: Callable[[int, int], int] | None = None,
    ) -> None:
        self.config = config
        self.rounds = config.get("rounds")
        self.answers = answers
        self.resources = tuple(config["resource_names"])
        self.rows = list(config["map"] if rows is None else rows)
        self.height = len(self.rows)
        self.width = len(self.rows[0])
        self.step_count = 0
        self.agents: list[Agent] = []
        self.grid: dict[tuple[int, int], Wall | Converter | Agent] = {}
        for row, line in enumerate(self.rows):
            for column, character in enumerate(line):
                self._place(config["legend"][character], row, column)
        assert len(self.agents) == config["num_agents"]
        self._fill_hands()
        for converter in self.converters():
            converter.try_to_start(step=0)
        if self.rounds:
            for agent in self.agents:
                self._begin_round(agent)

    # ---- construction

    def _place(self, name: str, row: int, column: int) -> None:
        if name == "empty":
            return
        if name == "agent":
            settings = self.config["agent"]
            default = settings["default_resource_limit"]
            limits = {item: min(BYTE, settings["resource_limits"].get(item, default)) for item in self.resources}
            agent = Agent(row, column, limits)
            self.agents.append(agent)
            self.grid[row, column] = agent
            return
        settings = self.config["objects"][name]
        if settings.get("type", "converter") == "wall":
            self.grid[row, column] = Wall(settings["type_id"])
            return
        converter = Converter(
            name=name,
            type_id=settings["type_id"],
            row=row,
            column=column,
            inputs=self._in_id_order(settings["input_resources"]),
            outputs=self._in_id_order(settings["output_resources"]),
            max_output=settings["max_output"],
            max_conversions=settings["max_conversions"],
            ticks=settings["conversion_ticks"],
            cooldown=settings["cooldown"],
        )
        for item in converter.outputs:
            converter.contents[item] = settings["initial_resource_count"]
        self.grid[row, column] = converter

    def _fill_hands(self) -> None:
        own = self.config["agent_initial_inventory"]
        for index, agent in enumerate(self.agents):
            wanted = self.config["agent"]["initial_inventory"] if own is None else own[index]
            for item, amount in wanted.items():
                agent.held[item] = min(int(amount), agent.limits[item])

    def _in_id_order(self, amounts: Mapping[str, float]) -> dict[str, int]:
        """The same amounts as whole numbers, in the order of the resource ids."""
        return {item: int(amounts[item]) for item in self.resources if item in amounts}

    # ---- reading the state

    def converters(self) -> list[Converter]:
        """All converters in row-major order."""
        return [thing for _, thing in sorted(self.grid.items()) if isinstance(thing, Converter)]

    def inventory(self) -> np.ndarray:
        """uint8 [A, resources]: what every agent holds."""
        return np.array([agent.inventory() for agent in self.agents], np.uint8)

    def agent_state(self) -> np.ndarray:
        """int16 [A, 4]: row, column, orientation, freeze remaining."""
        return np.array([(a.row, a.column, a.orientation, a.frozen) for a in self.agents], np.int16)

    def final_converters(self) -> list[list[Any]]:
        """Per converter: row, column, name, non-zero contents, converting, cooling."""
        return [
            [
                c.row,
                c.column,
                c.name,
                {item: amount for item, amount in self._in_id_order(c.contents).items() if amount},
                c.converting_until is not None,
                c.cooling_until is not None,
            ]
            for c in self.converters()
        ]

    # ---- one step

    def step(self, actions: Sequence[int], order: Sequence[int]) -> TwinStep:
        """Advance by one step; `order` is this step's permutation of the agents."""
        assert sorted(order) == list(range(len(self.agents)))
        for agent in self.agents:
            agent.reward = np.float32(0)
            agent.success = False
            agent.cue = 0
            agent.stuck = bool(self.rounds) and agent.frozen > 0
        self.step_count += 1
        for converter in self.converters():
            converter.handle_events(self.step_count)
        for attacks in (True, False):
            for index in order:
                self._act(self.agents[index], int(actions[index]), attacks)
        for agent in self.agents:
            agent.counts["failed_actions"] += not agent.success
        observations = self.observations()
        for agent in self.agents:
            potential = self._potential(agent)
            agent.reward = np.float32(agent.reward + np.float32(potential - agent.potential))
            agent.potential = potential
        ended = self.step_count >= self.config["max_steps"]
        truncates = self.config["episode_truncates"]
        count = len(self.agents)
        return TwinStep(
            observations=observations,
            rewards=np.array([agent.reward for agent in self.agents], np.float32),
            terminals=np.full(count, ended and not truncates),
            truncations=np.full(count, ended and truncates),
            action_success=np.array([agent.success for agent in self.agents], bool),
        )

    def _act(self, agent: Agent, action: int, attacks: bool) -> None:
        """The turn of `agent` in one of the step's two passes (attacks first, then everything else)."""
        if not 0 <= action < len(ACTIONS):
            agent.last_action, agent.last_argument = 0, 0
            self._punish(agent)  # in both passes, so twice
            return
        name = ACTIONS[action]
        if name.startswith("attack") != attacks:
            return
        agent.last_action, agent.last_argument = (0, 0) if agent.stuck else (action, argument_of(name))
        if agent.frozen > 0:
            agent.frozen -= 1
            agent.counts["steps_frozen"] += 1
            return
        agent.counts["attacks_tried"] += attacks
        kind = name.split("_")[0] if not name.endswith("items") else name
        cost = self.config["actions"].get(kind, {}).get("consumed_resources", {})
        affordable = all(agent.held.get(item, 0) >= amount for item, amount in cost.items())
        agent.success = affordable and self._carry_out(agent, kind, agent.last_argument)
        if not agent.success:
            self._punish(agent)
            return
        for item, amount in cost.items():
            agent.lose(item, int(amount))

    def _punish(self, agent: Agent) -> None:
        agent.reward = np.float32(agent.reward - np.float32(self.config["agent"]["action_failure_penalty"]))

    def _carry_out(self, agent: Agent, kind: str, argument: int) -> bool:
        """Do it; returns whether it counts as a success."""
        if kind == "noop":
            return True
        if kind == "move":
            return self._move(agent, argument)
        if kind == "put_items":
            return self._put_items(agent)
        if kind == "get_items":
            return self._get_items(agent)
        return self._attack(agent, argument)

    def _in_front(self, agent: Agent) -> tuple[int, int]:
        down, right = DIRECTIONS[agent.orientation]
        return agent.row + down, agent.column + right

    def _move(self, agent: Agent, orientation: int) -> bool:
        agent.orientation = orientation
        row, column = self._in_front(agent)
        if not (0 <= row < self.height and 0 <= column < self.width):
            return False
        there = self.grid.get((row, column))
        if there is None:
            del self.grid[agent.row, agent.column]
            agent.row, agent.column = row, column
            self.grid[row, column] = agent
            agent.counts["moves"] += 1
            return True
        return isinstance(there, Agent)

    def _put_items(self, agent: Agent) -> bool:
        converter = self.grid.get(self._in_front(agent))
        if not isinstance(converter, Converter):
            return False
        if self.rounds and converter.name == self.rounds["oracle"]:
            return self._answer(agent, converter, ACTIONS.index("put_items"))
        moved_any = False
        for item, amount in converter.inputs.items():
            moved = converter.accept(item, min(amount, agent.held.get(item, 0)), self.step_count)
            agent.lose(item, moved)
            moved_any = moved_any or moved > 0
        return moved_any

    def _get_items(self, agent: Agent) -> bool:
        converter = self.grid.get(self._in_front(agent))
        if not isinstance(converter, Converter):
            return False
        if self.rounds and converter.name == self.rounds["oracle"]:
            return self._answer(agent, converter, ACTIONS.index("get_items"))
        moved_any = False
        for item in converter.outputs:
            moved = converter.release(item, agent.room(item), self.step_count)
            agent.gain(item, moved)
            moved_any = moved_any or moved > 0
        return moved_any

    # ---- rounds

    def _begin_round(self, agent: Agent) -> None:
        """A new answer, which the agent sees until the next step, and a wait."""
        assert self.rounds is not None
        assert self.answers is not None
        index = next(place for place, other in enumerate(self.agents) if other is agent)
        agent.answer = agent.cue = self.answers(index, agent.rounds)
        agent.rounds += 1
        agent.frozen = self.rounds["wait"]

    def _answer(self, agent: Agent, oracle: Converter, given: int) -> bool:
        """One answer ends the round; the right one is paid with what the oracle would make."""
        right = given == agent.answer
        gained_any = False
        for item, amount in oracle.outputs.items():
            gained = min(amount, agent.room(item)) if right else 0
            agent.gain(item, gained)
            gained_any = gained_any or gained > 0
        self._begin_round(agent)
        return gained_any

    def _attack(self, agent: Agent, number: int) -> bool:
        found = self._targets(agent)
        if not found:
            return False
        target = found[min(number, len(found) - 1)]
        defense = self.config["actions"].get("attack", {}).get("defense_resources", {})
        if defense and all(target.held.get(item, 0) >= amount for item, amount in defense.items()):
            for item, amount in defense.items():
                target.lose(item, int(amount))
            agent.counts["attacks_blocked"] += 1
            return True
        agent.counts["attacks_hit"] += 1
        was_frozen = target.frozen > 0
        target.frozen = self.config["agent"]["freeze_duration"]
        if not was_frozen and target is not agent:
            for item in self.resources:
                stolen = min(target.held.get(item, 0), agent.room(item))
                target.lose(item, stolen)
                agent.gain(item, stolen)
                agent.counts["items_stolen"] += stolen
                target.counts["items_lost_to_theft"] += stolen
        return True

    def _targets(self, agent: Agent) -> list[Agent]:
        """The agents in the 3 x 3 block in front, in scan order, each once."""
        ahead, left = DIRECTIONS[agent.orientation], LEFT[agent.orientation]
        found: list[Agent] = []
        for distance in (1, 2, 3):
            for sideways in (0, 1, -1):  # centre, left, right
                row = agent.row + distance * ahead[0] + sideways * left[0]
                column = agent.column + distance * ahead[1] + sideways * left[1]
                row = min(max(row, 0), self.height - 1)
                column = min(max(column, 0), self.width - 1)
                thing = self.grid.get((row, column))
                if isinstance(thing, Agent) and not any(thing is other for other in found):
                    found.append(thing)
        return found

    def _potential(self, agent: Agent) -> np.float32:
        weights = self.config["agent"]["rewards"]["inventory"]
        caps = self.config["agent"]["rewards"]["inventory_max"]
        total = np.float32(0)
        for item in sorted(weights):
            value = np.float32(np.float32(agent.held.get(item, 0)) * np.float32(weights[item]))
            if item in caps:
                value = min(value, np.float32(caps[item]))
            total = np.float32(total + value)
        return total

    # ---- observations

    def observations(self) -> np.ndarray:
        """uint8 [A, M, 3]: what every agent sees now; before the first step this is the reset observation."""
        return np.array([self._observation(agent) for agent in self.agents], np.uint8)

    def _observation(self, agent: Agent) -> list[list[int]]:
        rows, columns = self.config["obs_height"], self.config["obs_width"]
        here = location(rows // 2, columns // 2)
        tokens = [
            [here, 7, rounded_fraction(255 * self.step_count, self.config["max_steps"])],
            [here, 8, agent.last_action],
            [here, 9, agent.last_argument],
            [here, 10, reward_byte(agent.reward)],
        ]
        if agent.cue:
            tokens.append([here, {"put_items": 11, "get_items": 12}[ACTIONS[agent.cue]], 1])
        for down, right in window_order(rows, columns):
            thing = self.grid.get((agent.row + down, agent.column + right))
            there = location(rows // 2 + down, columns // 2 + right)
            tokens += [[there, feature, value] for feature, value in self._features_of(thing)]
        size = self.config["num_observation_tokens"]
        return tokens[:size] + [[PADDING] * 3] * (size - len(tokens))

    def _features_of(self, thing: Wall | Converter | Agent | None) -> list[tuple[int, int]]:
        """The (feature, value) pairs of one object."""
        if thing is None:
            return []
        if isinstance(thing, Wall):
            return [(0, thing.type_id)]
        if isinstance(thing, Converter):
            busy = thing.converting_until is not None or thing.cooling_until is not None
            return [(0, thing.type_id), (5, int(busy)), *self._item_features(thing.contents)]
        state = [(0, 0), (1, 0), (2, int(thing.frozen > 0)), (3, thing.orientation)]
        return [*state, *self._item_features(thing.held)]

    def _item_features(self, amounts: Mapping[str, int]) -> list[tuple[int, int]]:
        """(17 + id, amount) of every non-zero item, in id order."""
        return [(17 + index, amounts[item]) for index, item in enumerate(self.resources) if amounts.get(item, 0)]


def argument_of(name: str) -> int:
    """What feature 9 shows: a move's orientation id, an attack's number, else 0."""
    if name.startswith("move"):
        return ("move_north", "move_south", "move_west", "move_east").index(name)
    return int(name.split("_")[1]) if name.startswith("attack") else 0


def window_order(rows: int, columns: int) -> list[tuple[int, int]]:
    """The (row, column) offsets from the agent of a window's cells, in the order in which they are written.

    The agent stands at (rows // 2, columns // 2): in the middle of an odd window, after it in an even one.
    """
    up, left = rows // 2, columns // 2
    offsets = []
    for distance in range(up + left + 1):
        for down in range(-distance, distance + 1):
            right = distance - abs(down)
            offsets += [(down, 0)] if right == 0 else [(down, -right), (down, right)]
    return [(down, right) for down, right in offsets if -up <= down < rows - up and -left <= right < columns - left]


def location(row: int, column: int) -> int:
    """The byte for a cell of the window."""
    return (row << 4) | column


def rounded_fraction(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded to nearest, halves up, exactly."""
    return (2 * numerator + denominator) // (2 * denominator)


def reward_byte(reward: np.float32) -> int:
    """A reward times 100 in float32, rounded to nearest (halves away from zero), modulo 256."""
    hundredths = float(np.float32(reward * np.float32(100)))
    nearest = int(abs(hundredths) + 0.5)
    return (nearest if hundredths >= 0 else -nearest) % 256
