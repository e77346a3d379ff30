"""Under which rules results came about: evaluation settings and environments, and whether two records have the same."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

RULES = ("evaluation", "evaluation_environments")
"""Keys of run configurations, evaluation configurations and evaluation records alike."""


def rules_of(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rules in a record as plain JSON data, or None in one of an older version that does not name them."""
    return {key: record[key] for key in RULES} if all(key in record for key in RULES) else None


def mark_of(rules: Mapping[str, Any]) -> str:
    """A short name of rules: the same for the same settings, in hexadecimal digits."""
    text = json.dumps(rules, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def differ(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether two records name different rules; what an older version left unnamed counts as the same."""
    found, needed = rules_of(record), rules_of(wanted)
    return found is not None and needed is not None and found != needed
