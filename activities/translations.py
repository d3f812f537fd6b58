"""Texts per language: one JSON file per language beside the templates, English for everybody else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from babel import Locale, UnknownLocaleError

Folder = Literal["mail", "documents", "pages"]

_FALLBACK = "en"


@dataclass(frozen=True)
class Texts:
    """The texts of one folder in one language, and the locale in which dates and amounts fit them."""

    language: str
    locale: str
    texts: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        return self.texts[key]

    def say(self, key: str, /, **values: str) -> str:
        """The text with its `{placeholders}` filled. Raises `KeyError` for an unknown key or a missing value."""
        return self.texts[key].format(**values)

    @property
    def right_to_left(self) -> bool:
        """Whether lines begin on the right."""
        return Locale.parse(self.language.replace("-", "_")).text_direction == "rtl"


@lru_cache(maxsize=1024)
def texts_for(folder: Folder, wanted: str) -> Texts:
    """The texts in the best language for a BCP 47 tag: the tag itself, then shortened part by part, then English.

    Dates and amounts follow the region of the tag (`en-IE`, `de-AT`) as long as the language is the same.
    """
    known = languages(folder)
    parts = wanted.split("-")
    language = next(
        (tag for length in range(len(parts), 0, -1) if (tag := "-".join(parts[:length]).lower()) in known), None
    )
    if language is None:
        return Texts(_FALLBACK, _FALLBACK, _load(folder, _FALLBACK))
    return Texts(language, _locale(wanted, language), _load(folder, language))


@lru_cache(maxsize=8)
def languages(folder: Folder) -> frozenset[str]:
    """The languages (BCP 47 tags) in which a folder has its texts."""
    found = files("templates").joinpath(folder, "locales").iterdir()
    return frozenset(file.name.removesuffix(".json") for file in found if file.name.endswith(".json"))


@lru_cache(maxsize=32)
def _load(folder: Folder, language: str) -> Mapping[str, str]:
    text = files("templates").joinpath(folder, "locales", f"{language}.json").read_text(encoding="utf-8")
    loaded: dict[str, str] = json.loads(text)
    return loaded


def _locale(wanted: str, language: str) -> str:
    try:
        return str(Locale.parse(wanted, sep="-"))
    except (ValueError, UnknownLocaleError):
        return language
