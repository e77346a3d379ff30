"""Check architectures against the seven laws: `uv run python -m metta.agent.check NAME|all [--json]`.

NAME is a key of ARCHITECTURES, or `package.module:Name` for a configuration (class, function or instance) in a module
of one's own. Prints one line per law with the deviation measured; exit status 1 if a law is broken, 2 for a bad NAME.
"""

import importlib
import json
import math
import sys
from collections.abc import Mapping
from difflib import get_close_matches

from metta.agent.policies.config import PolicyConfig
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser

REGISTRY = "experiments.recipes.benchmark_architectures.level_1_basic:ARCHITECTURES"
"""Where the suite's architectures are listed; an address, since nothing in metta depends on experiments."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return report_errors(lambda: _check(arguments))


def _check(arguments: list[str] | None) -> int:
    parser = Parser("python -m metta.agent.check", "Check architectures against the seven laws of a policy.")
    parser.add_argument("name", metavar="NAME|all", help="a key of ARCHITECTURES, all, or package.module:Configuration")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    registry = registered()
    chosen = registry if options.name == "all" else dict([find(options.name, registry)])
    return _report(chosen, registry, as_json=options.json)


def registered() -> Mapping[str, PolicyConfig]:
    """The suite's architectures by key."""
    module, name = REGISTRY.split(":")
    architectures: Mapping[str, PolicyConfig] = getattr(importlib.import_module(module), name)
    return architectures


def find(name: str, registry: Mapping[str, PolicyConfig]) -> tuple[str, PolicyConfig]:
    """The configuration that `name` stands for, with the key it goes by. Raises InputError if there is none."""
    if name in registry:
        return name, registry[name]
    if ":" not in name:
        near = get_close_matches(name, registry, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(
            f"unknown architecture {name!r}; {hint}Known: {', '.join(registry)}, or package.module:Configuration."
        )
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise InputError(f"{name!r} is not package.module:Configuration.")
    try:
        # The working directory first, as for a script: the module may lie beside the user.
        sys.path.insert(0, "")
        found = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise InputError(f"cannot import {module_name!r}: {error}.") from None
    except AttributeError:
        raise InputError(f"the module {module_name!r} has no {attribute!r}.") from None
    finally:
        sys.path.remove("")
    config = found if isinstance(found, PolicyConfig) else found() if callable(found) else None
    if not isinstance(config, PolicyConfig):
        raise InputError(f"{name!r} is neither a PolicyConfig nor a function that returns one.")
    # One that is registered is not another one that computes the same.
    return next((known for known, own in registry.items() if own == config), name), config


def _report(chosen: Mapping[str, PolicyConfig], registry: Mapping[str, PolicyConfig], *, as_json: bool) -> int:
    """Check, print as results come, and return the exit status."""
    from metta.agent.laws import check
    from metta.agent.spec import arena_spec

    spec = arena_spec()
    results, broken = [], []
    for name, config in chosen.items():
        if not as_json:
            print(name)
        found = []
        for law in check(name, config, registry, spec):
            deviation = law.deviation if math.isfinite(law.deviation) else None
            found.append({**law._asdict(), "deviation": deviation})
            if not law.passed:
                broken.append(f"{name}: law {law.number}")
            if not as_json:
                outcome = "pass" if law.passed else "FAIL"
                measured = f"{law.deviation:.1e} (at most {law.tolerance:.0e})"
                print(f"  {law.number}  {outcome}  {law.law:38s} {measured:26s} {law.note}", flush=True)
        results.append({"architecture": name, "laws": found})
    if as_json:
        print(json.dumps({"passed": not broken, "architectures": results}))
    else:
        print(f"broken: {', '.join(broken)}" if broken else f"{len(results)} checked, every law holds")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
