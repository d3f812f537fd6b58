"""Stripe's form encoding: ``metadata[order_id]=1`` and ``items[0][price]=x`` become nested dictionaries."""

import re
from urllib.parse import parse_qsl

from sandbox.stripe_double.errors import invalid

Raw = str | dict[str, "Raw"] | list["Raw"]
Form = dict[str, Raw]

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


def parse_form(encoded: str) -> Form:
    """Read a query string or a form body. A repeated plain key keeps its last value, ``key[]`` collects a list."""
    form: Form = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True, max_num_fields=2000):
        head, bracket, rest = name.partition("[")
        _place(form, [head, *_BRACKETS.findall(bracket + rest)], value, name)
    return form


def _place(form: Form, keys: list[str], value: str, name: str) -> None:
    """Put one value at its nested place; ``name`` is only for the error message."""
    here = form
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        if not last and keys[position + 1] == "" and position == len(keys) - 2:
            listed = here.setdefault(key, [])
            if not isinstance(listed, list):
                raise invalid(f"Invalid array: {name}", param=name)
            listed.append(value)
            return
        if last:
            here[key] = value
            return
        below = here.setdefault(key, {})
        if not isinstance(below, dict):
            raise invalid(f"Invalid object: {name}", param=name)
        here = below
