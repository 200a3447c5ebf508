"""A validator of those keywords of JSON schema that schemas here use; it raises at any other."""

from __future__ import annotations

import re
from typing import Any

TYPES = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}
NOTES = {"$schema", "$defs", "title", "description", "default", "examples"}


def fits(value: Any, schema: dict[str, Any], defined: dict[str, Any] | None = None) -> bool:
    """Whether a value is as a schema says, whose references are looked up in ``defined``, or in its own ``$defs``."""
    defined = schema.get("$defs", {}) if defined is None else defined
    if "$ref" in schema:
        assert set(schema) == {"$ref"}
        schema = defined[schema["$ref"].removeprefix("#/$defs/")]
    return all(
        _holds(keyword, rule, value, schema, defined) for keyword, rule in schema.items() if keyword not in NOTES
    )


def _holds(keyword: str, rule: Any, value: Any, schema: dict[str, Any], defined: dict[str, Any]) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match keyword:
        case "type":
            if rule in ("number", "integer"):
                return number and (rule == "number" or isinstance(value, int))
            return isinstance(value, TYPES[rule])
        case "const":
            return type(value) is type(rule) and value == rule
        case "enum":
            return value in rule
        case "anyOf":
            return any(fits(value, option, defined) for option in rule)
        case "oneOf":
            return sum(fits(value, option, defined) for option in rule) == 1
        case "minimum":
            return not number or value >= rule
        case "maximum":
            return not number or value <= rule
        case "pattern":
            return not isinstance(value, str) or re.search(rule, value) is not None
        case "minItems":
            return not isinstance(value, list) or len(value) >= rule
        case "maxItems":
            return not isinstance(value, list) or len(value) <= rule
        case "items":
            return not isinstance(value, list) or all(fits(item, rule, defined) for item in value)
        case "required":
            return not isinstance(value, dict) or all(name in value for name in rule)
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= rule
        case "properties":
            return not isinstance(value, dict) or all(fits(value[k], rule[k], defined) for k in rule if k in value)
        case "additionalProperties":
            others = set(value) - set(schema.get("properties", ())) if isinstance(value, dict) else set()
            return not others if rule is False else all(fits(value[name], rule, defined) for name in others)
    raise AssertionError(f"the validator of tests does not know {keyword}")
