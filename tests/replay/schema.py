"""Whether today's types understand what older ones said, as far as their JSON schemas tell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Schema = Mapping[str, object]

# A bound may be loosened: the key, and whether less of it is looser.
_BOUNDS = {
    "minimum": True,
    "exclusiveMinimum": True,
    "minLength": True,
    "minItems": True,
    "minProperties": True,
    "maximum": False,
    "exclusiveMaximum": False,
    "maxLength": False,
    "maxItems": False,
    "maxProperties": False,
}
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "contentEncoding")
_SAID_BESIDES = {"title", "description", "default", "examples", "discriminator"}


def bare(schema: object) -> object:
    """The schema without what only people read, in a fixed order."""
    if isinstance(schema, dict):
        kept = {
            key: {name: bare(each) for name, each in value.items()} if key in {"properties", "$defs"} else bare(value)
            for key, value in schema.items()
            if key not in _SAID_BESIDES
        }
        if isinstance(kept.get("required"), list):
            kept["required"] = sorted(kept["required"])
        return kept
    return [bare(each) for each in schema] if isinstance(schema, list) else schema


@dataclass(frozen=True)
class Narrowing:
    """Compares one older schema with today's. Each finding says where it is, and what is not understood any more."""

    old: Mapping[str, Schema]
    new: Mapping[str, Schema]
    # Rules of lessons hold rules: what is being compared is not compared within itself.
    _under_way: set[tuple[str, str]] = field(default_factory=set)

    def models(self) -> Iterator[str]:
        """What is narrower in the models that both have."""
        for name in sorted(self.old.keys() & self.new.keys()):
            yield from self.of(self.old[name], self.new[name], name)

    def of(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        """What fits the old schema and not the new one."""
        if old.get("$ref") is not None and old.get("$ref") == new.get("$ref"):
            return  # compared by itself
        alternatives = _alternatives(old)
        if alternatives:
            for each in alternatives:
                yield from self.of(each, new, where)
            return
        if choices := _alternatives(new):
            if all(any(self.of(old, each, where)) for each in choices):
                yield f"{where}: {_worded(self._whole(old, self.old))} is not allowed any more"
            return
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if not any(pair):
            yield from self._of_one(old, new, where)
        elif pair not in self._under_way:
            self._under_way.add(pair)
            found = list(self.of(self._whole(old, self.old), self._whole(new, self.new), where))
            self._under_way.discard(pair)
            yield from found

    def _whole(self, schema: Schema, models: Mapping[str, Schema]) -> Schema:
        name = schema.get("$ref")
        return schema if not isinstance(name, str) else models[name.rpartition("/")[2]]

    def _of_one(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        if not _is_wider(old.get("type"), new.get("type")):
            yield f"{where}: was {_worded(old)}, is {_worded(new)}"
            return
        yield from self._words(old, new, where)
        for key, less_is_looser in _BOUNDS.items():
            before, after = old.get(key), new.get(key)
            if isinstance(after, int | float) and (
                not isinstance(before, int | float) or (after > before if less_is_looser else after < before)
            ):
                yield f"{where}: {key} was {'none' if before is None else before}, is {after}"
        for key in _EXACT:
            if new.get(key) not in (None, old.get(key)):
                yield f"{where}: {key} was {old.get(key) or 'none'}, is {new[key]}"
        yield from self._fields(old, new, where)
        yield from self._items(old, new, where)

    def _words(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before, after = _words(old), _words(new)
        if after is None:
            return
        if before is None:
            yield f"{where}: any value was allowed, now only {', '.join(map(str, after))}"
        else:
            gone = [str(each) for each in before if each not in after]
            if gone:
                yield f"{where}: the words {', '.join(gone)} are gone"

    def _fields(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        if new.get("type") != "object":
            return
        if "properties" not in old and "properties" not in new:
            before, after = old.get("additionalProperties"), new.get("additionalProperties")
            if isinstance(after, dict):
                yield from self.of(before if isinstance(before, dict) else {}, after, f"{where}.*")
            return
        before, after = _mapping(old, "properties"), _mapping(new, "properties")
        needed, needed_before = _listed(new, "required"), _listed(old, "required")
        for name in sorted(before.keys() - after.keys()):
            yield f"{where}.{name}: the field is gone, and with it what was said in it"
        for name in sorted(set(needed) - set(needed_before)):
            yield f"{where}.{name}: {'was optional' if name in before else 'is new'}, and is required"
        for name in sorted(before.keys() & after.keys()):
            yield from self.of(before[name], after[name], f"{where}.{name}")
        if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
            yield f"{where}: refuses fields that it does not know, which it did not"

    def _items(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before, after = _tuple(old), _tuple(new)
        if after:
            if len(before) != len(after):
                yield f"{where}: had {len(before) or 'any number of'} items, has {len(after)}"
            for number, (one, other) in enumerate(zip(before, after, strict=False)):
                yield from self.of(one, other, f"{where}[{number}]")
            return
        items = new.get("items")
        if isinstance(items, dict):
            told = old.get("items")
            for each in before or [told if isinstance(told, dict) else {}]:
                yield from self.of(each, items, f"{where}[]")


def _alternatives(schema: Schema) -> list[Schema]:
    for key in ("anyOf", "oneOf"):
        found = schema.get(key)
        if isinstance(found, list):
            return found
    return []


def _is_wider(old: object, new: object) -> bool:
    return new is None or old == new or (old, new) == ("integer", "number")


def _words(schema: Schema) -> list[object] | None:
    words = schema.get("enum")
    if isinstance(words, list):
        return words
    return [schema["const"]] if "const" in schema else None


def _mapping(schema: Schema, key: str) -> Mapping[str, Schema]:
    found = schema.get(key)
    return found if isinstance(found, dict) else {}


def _listed(schema: Schema, key: str) -> list[str]:
    found = schema.get(key)
    return found if isinstance(found, list) else []


def _tuple(schema: Schema) -> list[Schema]:
    found = schema.get("prefixItems")
    return found if isinstance(found, list) else []


def _worded(schema: Schema) -> str:
    return (
        " ".join(str(schema[key]) for key in ("type", "format", "const", "enum", "pattern") if key in schema) or "any"
    )
