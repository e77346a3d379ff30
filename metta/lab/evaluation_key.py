"""Under which rules results came about: evaluation settings and environments, and whether two records have the same."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

EVALUATION, ENVIRONMENTS = RULES = ("evaluation", "evaluation_environments")
"""Keys of run configurations, evaluation configurations and evaluation records alike."""


def rules_in(record: Mapping[str, Any]) -> dict[str, Any]:
    """The rules that a record names, as plain JSON data."""
    return {key: record[key] for key in RULES if key in record}


def differ(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two records name different rules."""
    return rules_in(record) != rules_in(wanted)


def mark_of(rules: Mapping[str, Any]) -> str:
    """A short name of rules: the same for the same settings, in hexadecimal digits."""
    text = json.dumps(rules, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def marks_by_environment(rules: Mapping[str, Any]) -> dict[str, str]:
    """Evaluation environment -> mark of its settings and those of the evaluation.

    An environment that is added later does not change the marks of the others.
    """
    return {
        name: mark_of({EVALUATION: rules[EVALUATION], "environment": environment})
        for name, environment in rules[ENVIRONMENTS].items()
    }
