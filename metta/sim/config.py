"""What a simulated world is made of: rules of objects, agents and actions, and where maps come from.

Imports neither numba nor numpy, so that commands can describe configurations without loading the simulator.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from metta.base.config import Config
from metta.sim.constants import ACTION_GROUPS, MAX_AMOUNT, RESOURCES

Amount = Annotated[int, Field(ge=0, le=MAX_AMOUNT)]
MAX_WINDOW = 15
"""Row and column of a window share one byte, and (15, 15) would read as padding."""
MAX_KINDS = 253
"""Kinds of object: cells of a map are bytes, and some mean something else."""
MAX_CELLS = 1 << 24


class WallConfig(Config):
    """A thing that stands in the way and does nothing."""

    type: Literal["wall"] = "wall"
    type_id: Annotated[int, Field(ge=0, le=255)] = 1
    """Value of the type token."""


class ConverterConfig(Config):
    """A machine that turns inputs into outputs: mine, generator, altar, lasery, armory or one of your own."""

    type: Literal["converter"] = "converter"
    type_id: Annotated[int, Field(ge=0, le=255)]
    """Value of the type token."""
    input_resources: dict[str, Amount] = Field(default={})
    """Recipe: amounts removed when a conversion starts."""
    output_resources: dict[str, Amount] = Field(default={})
    """Amounts that appear when a conversion ends."""
    max_output: Annotated[int, Field(ge=-1, le=32767)] = -1
    """No conversion starts while at least this many outputs, summed over kinds, are inside; -1: no limit."""
    max_conversions: Annotated[int, Field(ge=-1, le=32767)] = -1
    """Number of conversions after which none starts again; -1: no limit."""
    conversion_ticks: Annotated[int, Field(ge=0, le=65535)] = 1
    """Steps from start to output; with 0 the output appears at once."""
    cooldown: Annotated[int, Field(ge=0, le=65535)] = 0
    """Steps after the output during which no conversion starts."""
    initial_resource_count: Amount = 0
    """Amount of each output inside at construction; may exceed max_output."""

    @model_validator(mode="after")
    def _ends(self) -> "ConverterConfig":
        """Without duration and cooldown a converter runs until something stops it within the step."""
        if self.conversion_ticks == 0 and self.cooldown == 0 and self.max_conversions < 0:
            inputs = {name for name, amount in self.input_resources.items() if amount}
            outputs = {name for name, amount in self.output_resources.items() if amount}
            fills_up = bool(outputs) and 0 <= self.max_output <= MAX_AMOUNT
            if inputs & outputs or not (inputs or fills_up):
                raise ValueError(
                    "a converter with conversion_ticks 0 and cooldown 0 would never stop converting within one step; "
                    "give it a duration, a cooldown, max_conversions, or a max_output up to 255"
                )
        return self


class AgentRewards(Config):
    """How holdings turn into reward: potential = sum over resources of min(held * weight, cap)."""

    inventory: dict[str, float] = Field(default={})
    """Weight per item held, in reward units."""
    inventory_max: dict[str, float] = Field(default={})
    """Cap of a resource's contribution, in reward units; a resource that is missing here has none."""


class AgentConfig(Config):
    """Rules that are the same for every agent."""

    default_resource_limit: Amount = 50
    """Most an agent holds of a resource that resource_limits does not name."""
    resource_limits: dict[str, Amount] = Field(default={"heart": MAX_AMOUNT})
    """Most an agent holds of each of these resources."""
    freeze_duration: Annotated[int, Field(ge=0, le=32767)] = 10
    """Actions that an agent loses when it is hit."""
    action_failure_penalty: float = 0.0
    """Subtracted from the reward for a failed action, twice for an action that does not exist."""
    initial_inventory: dict[str, Amount] = Field(default={})
    """What every agent holds at the start of an episode, clipped to the limits."""
    rewards: AgentRewards = AgentRewards()


class ActionConfig(Config):
    """What an action costs and what stops it."""

    consumed_resources: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    """Needed in hand for the action and paid when it succeeds; whole numbers."""
    defense_resources: dict[str, Amount] = Field(default={})
    """Attack only: a target that holds all of these loses them instead of being hit; empty: no defence."""

    @model_validator(mode="after")
    def _whole(self) -> "ActionConfig":
        for name, amount in self.consumed_resources.items():
            if amount != int(amount):
                raise ValueError(f"consumed_resources.{name} must be a whole number, not {amount}")
        return self


class RoomConfig(Config):
    """A new random map per episode: one room with a wall border, objects and agents on random cells."""

    kind: Literal["room"] = "room"
    height: Annotated[int, Field(ge=1)]
    """Inner rows, without the border."""
    width: Annotated[int, Field(ge=1)]
    """Inner columns, without the border."""
    objects: dict[str, Annotated[int, Field(ge=0)]] = Field(default={})
    """How many of each object stand in the room; names are keys of SimConfig.objects."""


class FixedMap(Config):
    """The same given map in every episode."""

    kind: Literal["fixed"] = "fixed"
    rows: tuple[str, ...]
    """The map, one character per cell, all rows of one length."""
    legend: dict[str, str]
    """Character -> "empty", "agent" or a key of SimConfig.objects; `@` is an agent anyway."""

    def kind_at(self, character: str) -> str:
        """What a character of the map stands for ("?" when the legend does not say)."""
        return self.legend.get(character, "agent" if character == "@" else "?")

    @model_validator(mode="after")
    def _rectangle(self) -> "FixedMap":
        if not self.rows or not self.rows[0]:
            raise ValueError("the map has no cells")
        if any(len(row) != len(self.rows[0]) for row in self.rows):
            raise ValueError("the rows of the map differ in length")
        long = [key for key in self.legend if len(key) != 1]
        if long:
            raise ValueError(f"legend keys are single characters, not {long[0]!r}")
        unknown = sorted({c for row in self.rows for c in row if self.kind_at(c) == "?"})
        if unknown:
            raise ValueError(f"the map uses {unknown[0]!r}, which the legend does not name")
        return self


class RoundsConfig(Config):
    """Rounds of a cue, a wait and an answer, each agent's own: nothing but its memory of the cue can tell the answer.

    A round draws put_items or get_items for its agent, shows it in one observation, and holds the agent where it is.
    Then the first of these two that the agent does in front of an oracle ends the round: if it is the one that was
    drawn the agent gets the oracle's outputs, else nothing.
    """

    oracle: str
    """Converter that answers are given to, a key of SimConfig.objects; agents neither fill nor empty it."""
    wait: Annotated[int, Field(ge=1, le=32767)]
    """Actions that an agent loses between a cue and its answer."""


class SimConfig(Config):
    """Everything that determines a world apart from its seed. Agent ids follow row-major order of start cells."""

    num_agents: Annotated[int, Field(ge=1)]
    """Agents per world."""
    max_steps: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1000
    """Steps of an episode."""
    episode_truncates: bool = False
    """Report the end at max_steps as a truncation instead of a terminal."""
    obs_width: Annotated[int, Field(ge=1, le=MAX_WINDOW)] = 11
    """Columns of the observation window."""
    obs_height: Annotated[int, Field(ge=1, le=MAX_WINDOW)] = 11
    """Rows of the observation window."""
    num_observation_tokens: Annotated[int, Field(ge=1, le=65535)] = 200
    """Token rows of an observation; further tokens are cut."""
    resource_names: tuple[str, ...] = RESOURCES
    """Resources in id order, at most ten."""
    objects: dict[str, Annotated[WallConfig | ConverterConfig, Field(discriminator="type")]] = Field(
        default={"wall": WallConfig()}
    )
    """What can stand on a map, by name."""
    agent: AgentConfig = AgentConfig()
    agent_initial_inventory: tuple[dict[str, Amount], ...] | None = None
    """Per agent, replaces agent.initial_inventory (clipped to the limits); null: the same for all."""
    actions: dict[str, ActionConfig] = Field(default={})
    """Costs by action group: noop, move, put_items, get_items, attack; a missing one is free."""
    world: Annotated[RoomConfig | FixedMap, Field(discriminator="kind")]
    """Where maps come from."""
    rounds: RoundsConfig | None = Field(default=None, exclude_if=lambda rounds: rounds is None)
    """Rounds of a cue, a wait and an answer; null: none, as in the five levels."""

    @property
    def map_height(self) -> int:
        """Rows of the map, border included."""
        return len(self.world.rows) if isinstance(self.world, FixedMap) else self.world.height + 2

    @property
    def map_width(self) -> int:
        """Columns of the map, border included."""
        return len(self.world.rows[0]) if isinstance(self.world, FixedMap) else self.world.width + 2

    @model_validator(mode="after")
    def _consistent(self) -> "SimConfig":
        names = self.resource_names
        if len(self.objects) > MAX_KINDS:
            raise ValueError(f"objects has {len(self.objects)} entries; at most {MAX_KINDS} are possible")
        for group, action in self.actions.items():
            if action.defense_resources and group != "attack":
                raise ValueError(f"actions.{group}.defense_resources has no effect; only an attack can be defended")
        if not 1 <= len(names) <= len(RESOURCES) or len(set(names)) != len(names):
            raise ValueError(f"resource_names must be 1 to {len(RESOURCES)} different names")
        self._check_resource_names()
        for name in self.actions:
            if name not in ACTION_GROUPS:
                raise ValueError(f"actions has no {name!r}; allowed are {', '.join(ACTION_GROUPS)}")
        for name in self.objects:
            if name in ("agent", "empty"):
                raise ValueError(f"objects may not be called {name!r}: the map uses that word")
        given = self.agent_initial_inventory
        if given is not None and len(given) != self.num_agents:
            raise ValueError(f"agent_initial_inventory has {len(given)} entries for {self.num_agents} agents")
        if self.rounds and not isinstance(self.objects.get(self.rounds.oracle), ConverterConfig):
            raise ValueError(f"rounds.oracle is {self.rounds.oracle!r}, which is not a converter in objects")
        if self.map_height * self.map_width > MAX_CELLS:
            raise ValueError(f"the map has more than {MAX_CELLS} cells; make it smaller")
        if isinstance(self.world, FixedMap):
            self._check_map(self.world)
        else:
            self._check_room(self.world)
        return self

    def _check_resource_names(self) -> None:
        """Every resource that a rule mentions must exist."""
        mentioned: list[tuple[str, dict[str, float] | dict[str, int]]] = [
            ("agent.resource_limits", self.agent.resource_limits),
            ("agent.initial_inventory", self.agent.initial_inventory),
            ("agent.rewards.inventory", self.agent.rewards.inventory),
            ("agent.rewards.inventory_max", self.agent.rewards.inventory_max),
        ]
        for index, held in enumerate(self.agent_initial_inventory or ()):
            mentioned.append((f"agent_initial_inventory.{index}", held))
        for name, action in self.actions.items():
            mentioned.append((f"actions.{name}.consumed_resources", action.consumed_resources))
            mentioned.append((f"actions.{name}.defense_resources", action.defense_resources))
        for name, thing in self.objects.items():
            if isinstance(thing, ConverterConfig):
                mentioned.append((f"objects.{name}.input_resources", thing.input_resources))
                mentioned.append((f"objects.{name}.output_resources", thing.output_resources))
        for where, amounts in mentioned:
            for resource in amounts:
                if resource not in self.resource_names:
                    known = ", ".join(self.resource_names)
                    raise ValueError(f"{where} names the unknown resource {resource!r}; known are {known}")

    @property
    def can_attack(self) -> bool:
        """Whether agents can ever pay for an attack."""
        costs = self.actions.get("attack", ActionConfig()).consumed_resources
        limits, default = self.agent.resource_limits, self.agent.default_resource_limit
        return all(cost <= limits.get(name, default) for name, cost in costs.items())

    def _check_map(self, world: FixedMap) -> None:
        agents = 0
        for character in {c for row in world.rows for c in row}:
            kind = world.kind_at(character)
            if kind == "agent":
                agents += sum(row.count(character) for row in world.rows)
            elif kind != "empty" and kind not in self.objects:
                raise ValueError(f"the legend maps {character!r} to {kind!r}, which objects does not define")
        if agents != self.num_agents:
            raise ValueError(f"the map has {agents} agents but num_agents is {self.num_agents}")

    def _check_room(self, world: RoomConfig) -> None:
        for name in world.objects:
            if name not in self.objects:
                raise ValueError(f"world.objects names {name!r}, which objects does not define")
        if "wall" not in self.objects:
            raise ValueError("a room needs an object called 'wall' for its border")
        if not isinstance(self.objects["wall"], WallConfig):
            raise ValueError("objects.wall is the border of the room: its type must be 'wall', not 'converter'")
        needed = sum(world.objects.values()) + self.num_agents
        cells = world.height * world.width
        if needed > cells:
            raise ValueError(
                f"no room for {needed} objects and agents in {world.height} x {world.width} = {cells} cells; "
                "make the room larger or ask for fewer"
            )
