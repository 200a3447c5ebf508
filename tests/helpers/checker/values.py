"""JSON read strictly (UTF-8, one document, keys sorted, no NaN), and tables that say what each field may hold."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard


class Field(NamedTuple):
    """What a field must be: the test, the words for it, and whether it may be absent."""

    test: Callable[[Any], bool]
    text: str
    optional: bool = False


def short(value: Any) -> str:
    """Return the value as text that fits a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_json(data: bytes, where: str) -> tuple[Any, list[str]]:
    """Return the one document of `data`, or None, and everything wrong with how it is written."""
    problems: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        # By code point, which is also the order of the UTF-8 bytes.
        if names != sorted(set(names)):
            problems.append(f"{where}: keys not sorted, or one twice: {short(names)}")
        return dict(items)

    def constant(name: str) -> float:
        problems.append(f"{where}: {name} is not JSON")
        return 0.0

    def number(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else constant(text)

    try:
        value = json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=constant, parse_float=number)
    except (ValueError, RecursionError) as error:
        return None, [f"{where}: not one JSON document in UTF-8: {error}"]
    return value, problems


def fields(value: Any, table: Mapping[str, Field], where: str) -> Iterator[str]:
    """Hold an object against its table. Fields that the table does not know are allowed; a reader ignores them."""
    if not isinstance(value, dict):
        yield f"{where}: {short(value)} is not an object"
        return
    for name, field in table.items():
        found = value.get(name)
        if found is None and field.optional:
            continue  # Either: an optional field may be null outside KEY.json; inside, `nulls` reports it
        if name not in value:
            yield f"{where}.{name}: missing"
        elif not field.test(found):
            yield f"{where}.{name}: {short(found)} is not {field.text}"


def nulls(value: Any, where: str) -> Iterator[str]:
    """Report every null, however deep."""
    if value is None:
        yield f"{where}: null; what is not known is absent"
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from nulls(item, f"{where}.{name}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from nulls(item, f"{where}[{position}]")


def rounded(numbers: list[Any], where: str) -> Iterator[str]:
    """Report coordinates with more than three decimals."""
    bad = [n for n in numbers if round(n, 3) != n]
    if bad:
        yield f"{where}: more than 3 decimals: {short(bad)}"


def canonical(value: Any) -> str:
    """Return the value as text that is equal for equal JSON; Python's 1, 1.0 and True are equal, JSON's are not."""
    return json.dumps(value, sort_keys=True)


def as_dict(value: Any) -> dict[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def is_int(value: Any) -> TypeGuard[int]:
    """Tell whether this is an integer; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether this is an integer or a fraction; true and false are none."""
    return isinstance(value, float) or is_int(value)


def is_text(value: Any) -> TypeGuard[str]:
    """Tell whether this is a string that says something."""
    return isinstance(value, str) and value != ""


def is_numbers(value: Any) -> TypeGuard[list[float]]:
    """Tell whether this is a list of numbers."""
    return isinstance(value, list) and all(is_number(n) for n in value)


def is_span(value: Any) -> bool:
    """Tell whether this is [first, end); -1 as the first stands for the originals."""
    return isinstance(value, list) and len(value) == 2 and all(map(is_int, value)) and -1 <= value[0] <= value[1]


def is_counts(value: Any) -> bool:
    """Tell whether this is {name: how many}."""
    return isinstance(value, dict) and all(is_int(n) and n >= 0 for n in value.values())


def without_zeros(counts: Any) -> dict[str, int]:
    """Return {name: how many} without the names that count nothing, which may stand there or not."""
    return {name: n for name, n in as_dict(counts).items() if is_int(n) and n}


def among(*allowed: Any) -> Field:
    """Return the field that holds one of these."""
    return Field(lambda v: not isinstance(v, bool) and v in allowed, "one of " + ", ".join(map(str, allowed)))


def optional(field: Field) -> Field:
    """Return the same field, which may be absent."""
    return field._replace(optional=True)


TEXT = Field(is_text, "a text that is not empty")
STRING = Field(lambda v: isinstance(v, str), "a text")
INT = Field(is_int, "an integer")
NATURAL = Field(lambda v: is_int(v) and v >= 0, "an integer of 0 or more")
POSITIVE = Field(lambda v: is_int(v) and v >= 1, "an integer of 1 or more")
AMOUNT = Field(lambda v: is_number(v) and v >= 0, "a number of 0 or more")
BOOL = Field(lambda v: isinstance(v, bool), "true or false")
FLAG = among(0, 1)
LIST = Field(lambda v: isinstance(v, list), "a list")
OBJECT = Field(lambda v: isinstance(v, dict), "an object")
COUNTS = Field(is_counts, "{name: how many}")
SPAN = Field(is_span, "[first, end)")
NAMES = Field(lambda v: isinstance(v, list) and all(map(is_text, v)), "a list of texts")
SHA256 = Field(lambda v: isinstance(v, str) and bool(re.fullmatch("[0-9a-f]{64}", v)), "a SHA-256 in hex")
# Either: the page says BLAKE2b without a length or the bytes that are hashed, so any length from 128 bits up will do.
DIGEST = Field(lambda v: isinstance(v, str) and bool(re.fullmatch("([0-9a-f]{2}){16,64}", v)), "a digest in hex")
