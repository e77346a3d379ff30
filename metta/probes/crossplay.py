"""Policies of different runs, and reference players, against each other: every pair with mirrored seats.

The file is rewritten after every few games, and a repetition of the command plays only what is missing in it.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metta.analysis.intervals import interval_text
from metta.analysis.summary import aligned_table
from metta.base.errors import InputError
from metta.base.files import locked, make_folder, read_json, write_json
from metta.base.provenance import now, provenance
from metta.base.run_files import POLICY_WEIGHTS
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.resolved_player import choose
from metta.sim.config import SimConfig

PUT = ("lost_ore_red", "lost_battery_red")
"""Counters of what is put into generators and altars (and, rarely, into other machines)."""
TAKEN = ("gained_battery_red", "gained_heart")
"""Counters of what is taken out of generators and altars. Where agents can attack, both count thefts too."""
COLUMNS = 11
"""Columns of the matrix in one block of the text."""


@dataclass(frozen=True)
class Entrant:
    """Somebody who takes part."""

    name: str
    player: Path | str
    """Folder of one checkpoint, or a reference player's name."""
    identity: str
    """Hash of the policy's weights, or the reference player's name."""


def entrants(words: Sequence[str]) -> list[Entrant]:
    """Who takes part, of words NAME=ADDRESS, ADDRESS or the name of a reference player.

    Without a name it is the architecture's or, where several runs have it, the run folder's.

    Raises:
        InputError: fewer than two, an address means nothing, or two have the same name.
    """
    found = []
    for word in words:
        name, equals, address = word.partition("=")
        if not equals or "/" in name:
            name, address = "", word
        found.append((name, choose(address)))
    architectures = [chosen.name for name, chosen in found if not name]
    result = []
    for name, chosen in found:
        if not isinstance(chosen.player, Path):
            result.append(Entrant(name or chosen.name, chosen.player, chosen.name))
            continue
        run = chosen.player.resolve().parent.parent.name
        weights = hashlib.sha256((chosen.player / POLICY_WEIGHTS).read_bytes()).hexdigest()[:16]
        own = name or (chosen.name if architectures.count(chosen.name) == 1 else run)
        result.append(Entrant(own, chosen.player, weights))
    names = [entrant.name for entrant in result]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--runs: two players are called {name!r}; write NAME=ADDRESS for one of them.")
    if len(names) < 2:
        raise InputError("--runs must name at least two players.")
    return result


def games_of(players: Sequence[Entrant]) -> list[tuple[Entrant, Entrant]]:
    """Every ordered pair, a game and its mirrored one side by side; then everybody against itself."""
    pairs = [(one, other) for index, one in enumerate(players) for other in players[index + 1 :]]
    mirrored = [game for one, other in pairs for game in ((one, other), (other, one))]
    return mirrored + [(one, one) for one in players]


def crossplay(
    players: Sequence[Entrant],
    level: str,
    environment: str,
    sim: SimConfig,
    evaluation: EvaluationConfig,
    system: SystemConfig,
    output: Path,
    say: Callable[[str], None] = print,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Play what is missing in `output` and return the whole record, which is written there.

    Args:
        players: who takes part.
        level: name of the level.
        environment: name of its evaluation environment.
        sim: that environment.
        evaluation: held-out worlds; every game is one episode in each.
        system: device and threads; a thread plays one game at a time.
        output: the file; may hold games of these or other players in the same worlds.
        say: hears about progress.
        clock: seconds.

    Raises:
        InputError: a checkpoint is damaged or does not fit, or `output` holds games in other worlds.
        InUseError: another process writes to `output`.
    """
    from metta.rl.checkpoint import load_policy
    from metta.rl.crossplay import play_game
    from metta.rl.devices import choose_device, choose_threads
    from metta.rl.evaluate import held_out
    from metta.rl.players import REFERENCE_PLAYERS
    from metta.rl.shards import Shards
    from metta.rl.specs import spec_of

    settings = {
        "level": level,
        "environment": environment,
        "sim": sim.model_dump(mode="json"),
        "evaluation": evaluation.model_dump(mode="json"),
    }
    make_folder(output.parent)
    with locked(output.with_name(f".{output.name}.lock"), str(output)):
        known: dict[str, Any] = read_json(output) if output.exists() else {"settings": settings, "games": []}
        if known.get("settings") != settings:
            raise InputError(f"{output} holds games in other worlds; give another --output.")
        played: dict[tuple[str, str], dict[str, Any]] = {
            (record["first"], record["second"]): record for record in known["games"]
        }
        games = {(one.identity, other.identity): (one, other) for one, other in games_of(players)}
        wanted = [game for key, game in games.items() if key not in played]
        device = choose_device(system)
        threads = choose_threads(system) if device.type == "cpu" else 1
        actors = {
            entrant.identity: load_policy(entrant.player, spec_of(sim))
            if isinstance(entrant.player, Path)
            else REFERENCE_PLAYERS[entrant.player](sim)
            for entrant in players
        }

        def play(game: tuple[Entrant, Entrant]) -> dict[str, Any]:
            one, other = (entrant.identity for entrant in game)
            sides = play_game(actors[one], actors[other], sim, held_out(evaluation), device)
            return {"first": one, "second": other, "sides": sides}

        shards = Shards(threads)
        started = clock()
        try:
            for begin in range(0, len(wanted), threads):
                now_playing = wanted[begin : begin + threads]
                for record in shards.map(play, now_playing):
                    played[record["first"], record["second"]] = record
                write_json(output, _record(settings, players, list(played.values())))
                done = begin + len(now_playing)
                left = (clock() - started) / done * (len(wanted) - done)
                names = ", ".join(f"{one.name} - {other.name}" for one, other in now_playing)
                say(f"[{done}/{len(wanted)}] {names}; {left / 60:.1f} min left")
        finally:
            shards.close()
        whole = _record(settings, players, list(played.values()))
        write_json(output, whole)
        return whole


def _record(settings: Mapping[str, Any], players: Sequence[Entrant], games: list[dict[str, Any]]) -> dict[str, Any]:
    """What is written; `standings` once all games of these players are there."""
    found = {(game["first"], game["second"]): game for game in games}
    complete = all((one.identity, other.identity) in found for one, other in games_of(players))
    return {
        "settings": settings,
        "players": [
            {"name": player.name, "player": str(player.player), "identity": player.identity} for player in players
        ],
        "standings": standings(players, found) if complete else None,
        "games": games,
        "time": now(),
        "provenance": provenance(),
    }


def standings(
    players: Sequence[Entrant], games: Mapping[tuple[str, str], Mapping[str, Any]], seed: int = 0
) -> dict[str, Any]:
    """Matrix of hearts, ratings, and who fills and who takes, per agent and episode.

    Args:
        players: P of them.
        games: by the identities of the first and the second side; all of these players.
        seed: decides the bootstrap's draws.

    Returns:
        `hearts` [P][P]: of the row's agents among the column's; the diagonal: among their own kind. `players`: per
        player `name`, `rating` with its interval, `hearts` against others, `own_kind`, and `counters` against others.
    """
    import numpy as np

    from metta.analysis.ratings import ratings

    worlds = len(next(iter(games.values()))["sides"][0]["hearts"])
    hearts = np.zeros((worlds, len(players), len(players)))
    agents = np.zeros((len(players), len(players)))
    counters: list[list[Mapping[str, float]]] = [[] for _ in players]
    for i, one in enumerate(players):
        for j, other in enumerate(players):
            for side in range(2):
                game = games[(one.identity, other.identity) if side == 0 else (other.identity, one.identity)]
                own = game["sides"][side]
                hearts[:, i, j] += own["hearts"]
                agents[i, j] += own["agents"]
                if i != j:
                    steps = own["agents"] * worlds
                    counters[i].append({name: count / steps for name, count in own["counters"].items()})
    per_agent = hearts.mean(0) / agents
    found = ratings(hearts, seed)
    against = [[per_agent[i, j] for j in range(len(players)) if j != i] for i in range(len(players))]
    return {
        "worlds": worlds,
        "hearts": per_agent.tolist(),
        "players": [
            {
                "name": player.name,
                "rating": found[i].plain,
                "hearts": float(np.mean(against[i])),
                "own_kind": float(per_agent[i, i]),
                "counters": {name: float(np.mean([game[name] for game in counters[i]])) for name in counters[i][0]},
            }
            for i, player in enumerate(players)
        ],
    }


def best_first(found: Mapping[str, Any]) -> list[int]:
    """Places of the players of `standings`, by their ratings."""
    players = found["players"]
    return sorted(range(len(players)), key=lambda place: -players[place]["rating"]["mean"])


def standings_table(found: Mapping[str, Any]) -> list[str]:
    """Lines of a table of `standings`, the best player first."""
    rows = [
        [
            str(rank),
            player["name"],
            interval_text(player["rating"], "{:+.0f}"),
            f"{player['hearts']:.2f}",
            f"{player['own_kind']:.2f}",
            f"{sum(player['counters'][name] for name in PUT):.1f}",
            f"{sum(player['counters'][name] for name in TAKEN):.1f}",
        ]
        for rank, player in enumerate((found["players"][place] for place in best_first(found)), 1)
    ]
    return aligned_table(["", "player", "rating", "hearts", "own kind", "put", "taken"], rows)


def crossplay_text(record: Mapping[str, Any]) -> str:
    """The standings for people, at most 80 columns wide for names of up to 16 characters."""
    found, settings = record["standings"], record["settings"]
    order = best_first(found)
    lines = [
        f"{settings['level']} {settings['environment']}, {found['worlds']} worlds, every pair with mirrored seats;",
        "per agent and episode, ratings with 95 % intervals over worlds",
        "",
        *standings_table(found),
        "",
        "hearts, own kind: among the others, and among itself. put, taken: ore and",
        "batteries put into machines, batteries and hearts taken out, among the others.",
        "",
        "Hearts of the row's agents among those of the column's:",
    ]
    for begin in range(0, len(order), COLUMNS):
        columns = range(begin, min(begin + COLUMNS, len(order)))
        lines += ["", " " * 16 + "".join(f"{column + 1:>5}" for column in columns)]
        for rank, place in enumerate(order, 1):
            cells = "".join(f"{found['hearts'][place][order[column]]:>5.1f}" for column in columns)
            lines.append(f"{rank:>2} {found['players'][place]['name'][:12]:<13}{cells}")
    return "\n".join(lines)
