"""Reading request parameters: each endpoint declares what it takes, everything else is refused as Stripe refuses it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.stripe_double.errors import StripeError, invalid, missing_parameter, unknown_parameter
from sandbox.stripe_double.forms import Form, Raw

Reader = Callable[[Raw, str], Any]

_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")


@dataclass(frozen=True)
class Spec:
    """The parameters of one endpoint (or of one nested hash)."""

    fields: Mapping[str, Reader] = field(default_factory=dict)
    required: Sequence[str] = ()

    def read(self, form: Form, prefix: str = "") -> dict[str, Any]:
        """Check and convert a parsed form; only the parameters that were sent are in the result."""
        values: dict[str, Any] = {}
        for name, raw in form.items():
            path = f"{prefix}[{name}]" if prefix else name
            reader = self.fields.get(name)
            if reader is None:
                raise unknown_parameter(path)
            values[name] = reader(raw, path)
        for name in self.required:
            if values.get(name) in (None, ""):
                raise missing_parameter(f"{prefix}[{name}]" if prefix else name)
        return values


def text(limit: int = 5000, *, pattern: re.Pattern[str] | None = None) -> Reader:
    """A string; an empty one unsets the field."""

    def read(raw: Raw, path: str) -> str:
        if not isinstance(raw, str):
            raise invalid("Invalid string: expected a string", param=path)
        if len(raw) > limit:
            raise invalid(
                f"Invalid string: {raw[:8]}...; must be at most {limit} characters",
                param=path,
                code="parameter_too_long",
            )
        if raw and pattern and not pattern.match(raw):
            raise invalid(f"Invalid value: {raw}", param=path)
        return raw

    return read


def email(raw: Raw, path: str) -> str:
    """An e-mail address."""
    if not isinstance(raw, str) or (raw and not _EMAIL.match(raw)):
        raise invalid(f"Invalid email address: {raw}", param=path, code="email_invalid")
    return raw


def url(raw: Raw, path: str) -> str:
    """An absolute http(s) address."""
    if not isinstance(raw, str) or not raw.startswith(("http://", "https://")):
        raise StripeError(
            400, "invalid_request_error", "Not a valid URL", code="url_invalid", param=path, before_execution=True
        )
    return raw


def integer(*, at_least: int | None = None) -> Reader:
    """A whole number."""

    def read(raw: Raw, path: str) -> int:
        if not isinstance(raw, str) or not re.fullmatch(r"-?\d{1,18}", raw):
            raise invalid(f"Invalid integer: {raw}", param=path, code="parameter_invalid_integer")
        number = int(raw)
        if at_least is not None and number < at_least:
            raise invalid(
                f"This value must be greater than or equal to {at_least}.",
                param=path,
                code="parameter_invalid_integer",
            )
        return number

    return read


def boolean(raw: Raw, path: str) -> bool:
    """``true`` or ``false``."""
    if raw not in ("true", "false"):
        raise invalid(f"Invalid boolean: {raw}", param=path)
    return raw == "true"


def one_of(*choices: str) -> Reader:
    """One of the named values."""

    def read(raw: Raw, path: str) -> str:
        if raw not in choices:
            raise invalid(f"Invalid {path}: must be one of {', '.join(choices)}", param=path)
        return str(raw)

    return read


def hash_of(spec: Spec) -> Reader:
    """A nested hash with its own declared fields; an empty string stands for an empty hash."""

    def read(raw: Raw, path: str) -> dict[str, Any]:
        if raw == "":
            return {}
        if not isinstance(raw, dict):
            raise invalid("Invalid object", param=path)
        return spec.read(raw, path)

    return read


def list_of(reader: Reader, *, limit: int = 100) -> Reader:
    """A list, sent as ``name[]=…`` or ``name[0]=…``."""

    def read(raw: Raw, path: str) -> list[Any]:
        if raw == "":
            return []
        if isinstance(raw, dict) and all(key.isdigit() for key in raw):
            items = [raw[key] for key in sorted(raw, key=int)]
        elif isinstance(raw, list):
            items = raw
        else:
            raise invalid("Invalid array", param=path)
        if len(items) > limit:
            raise invalid(f"Array too long: at most {limit} items", param=path)
        return [reader(item, f"{path}[{position}]") for position, item in enumerate(items)]

    return read


def free_form(raw: Raw, _path: str) -> Raw:
    """A documented parameter that is kept as it came and has no effect here."""
    return raw


def metadata(raw: Raw, path: str) -> dict[str, str] | str:
    """Up to 50 pairs, keys up to 40 and values up to 500 characters; an empty string clears everything."""
    if raw == "":
        return ""
    if not isinstance(raw, dict):
        raise invalid("Invalid object", param=path)
    if len(raw) > 50:
        raise invalid("Metadata can have up to 50 keys", param=path)
    pairs: dict[str, str] = {}
    for key, value in raw.items():
        if not isinstance(value, str):
            raise invalid("Metadata values must be strings", param=f"{path}[{key}]")
        if len(key) > 40:
            raise invalid("Metadata keys can have up to 40 characters", param=path)
        if len(value) > 500:
            raise invalid("Metadata values can have up to 500 characters", param=f"{path}[{key}]")
        pairs[key] = value
    return pairs


def merged_metadata(present: dict[str, str], sent: dict[str, str] | str | None) -> dict[str, str]:
    """The metadata after an update: sent pairs win, an empty value removes its key, an empty string removes all."""
    if sent is None:
        return present
    if isinstance(sent, str):
        return {}
    return {key: value for key, value in (present | sent).items() if value != ""}


_RANGE = Spec({name: integer(at_least=0) for name in ("gt", "gte", "lt", "lte")})


def created_filter(raw: Raw, path: str) -> dict[str, int]:
    """A creation time or a range of them."""
    if isinstance(raw, str):
        moment: int = integer(at_least=0)(raw, path)
        return {"gte": moment, "lte": moment}
    if not isinstance(raw, dict):
        raise invalid("Invalid object", param=path)
    return _RANGE.read(raw, path)


def page_limit(raw: Raw, path: str) -> int:
    """The size of one page, 1 to 100."""
    limit: int = integer()(raw, path)
    if not 1 <= limit <= 100:
        raise invalid(
            f"Invalid limit: {limit}; must be between 1 and 100", param=path, code="parameter_invalid_integer"
        )
    return limit


EXPAND: dict[str, Reader] = {"expand": list_of(text(), limit=20)}
PAGE: dict[str, Reader] = EXPAND | {"limit": page_limit, "starting_after": text(), "ending_before": text()}
RETRIEVE = Spec(EXPAND)
ADDRESS = hash_of(Spec({name: text() for name in ("city", "country", "line1", "line2", "postal_code", "state")}))
SHIPPING = hash_of(
    Spec({"address": ADDRESS, "name": text(), "phone": text(), "carrier": text(), "tracking_number": text()})
)
