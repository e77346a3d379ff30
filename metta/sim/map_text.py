"""Maps as text: which character stands for what."""

from metta.sim.config import FixedMap, SimConfig

USUAL = {
    "empty": ".",
    "agent": "@",
    "wall": "#",
    "mine_red": "m",
    "generator_red": "n",
    "altar": "_",
    "lasery": "S",
    "armory": "o",
}
"""Characters that recorded maps use."""


def map_characters(config: SimConfig) -> str:
    """One character each for empty, agent and every object in order; a fixed map's own where its legend has one."""
    names = ["empty", "agent", *config.objects]
    own: dict[str, str] = {}
    if isinstance(config.world, FixedMap):
        for character, name in config.world.legend.items():
            own.setdefault(name, character)
        own.setdefault("agent", "@")
    taken = set(own.values())
    for name in names:
        if name not in own:
            usual = USUAL.get(name, "")
            own[name] = usual if usual and usual not in taken else _unused(taken)
            taken.add(own[name])
    return "".join(own[name] for name in names)


def _unused(taken: set[str]) -> str:
    """The first letter, then the first character at all, that neither is taken nor usually means something."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    candidates = [*letters, *(chr(code) for code in range(0x100, 0x300))]
    return next(c for c in candidates if c not in taken and c not in USUAL.values())
