"""Checked parameters: frozen dataclasses, built from plain values such as YAML and JSON give.

One dataclass is the schema of a section of params.yaml and of a model package's config.json alike. An unknown key, a
missing key or a bad value raises `ParamsError`, which names the key, the value and what is allowed.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from huebands.fetch.secrets import HIDDEN, names_secret, without_secrets

# A field with this metadata matters while a network learns; a package, which has the weights, does not describe it.
TRAINING_ONLY = types.MappingProxyType({"training_only": True})


class ParamsError(ValueError):
    """A parameter is unknown, missing or has a value that is not allowed.

    Attributes:
        key: dotted name, as far as it is known where the error was found.
        problem: what is wrong, and what is allowed.
    """

    def __init__(self, key: str, problem: str) -> None:
        self.key, self.problem = key, without_secrets(problem)
        super().__init__(f"{key}{self.problem}")


@dataclass(frozen=True)
class Choice:
    """Annotates a field whose dataclass is chosen by a name among its values.

    Attributes:
        names: lists the names that can be chosen.
        find: gives the dataclass of a name.
        tag: key of the name.
    """

    names: Callable[[], Sequence[str]]
    find: Callable[[str], type]
    tag: str = "name"


def check(holds: bool, key: str, value: object, must: str) -> None:
    """Check one value.

    Args:
        holds: whether it is allowed.
        key: dotted name, relative to the dataclass that checks itself.
        value: is quoted, unless the name says that it is a secret.
        must: what is allowed, such as "be at least 1".

    Raises:
        ParamsError: unless it holds.
    """
    if not holds:
        shown = HIDDEN if names_secret(key) else repr(value)
        raise ParamsError(key, f" (={shown}) must {must}")


def build(kind: Any, value: Any) -> Any:
    """Build a value of an annotated type from plain values.

    Args:
        kind: a dataclass, a union of dataclasses told apart by their first field, `Annotated[..., Choice]`, a Literal,
            tuple, dict or plain type.
        value: nested mappings, lists and plain values.

    Raises:
        ParamsError: names the key below `value`, its value and what is allowed.
    """
    if kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _build_chosen(arguments[1], value)
    if origin is types.UnionType:
        return _build_union(arguments, value)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value)
    if origin is Literal:
        check(value in arguments, "", value, f"be one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _build_tuple(arguments, value)
    if origin is dict:
        check(isinstance(value, Mapping), "", value, "be a mapping")
        return {name: _build_at(name, arguments[1], item) for name, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    matches = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    check(matches, "", value, f"be of type {kind.__name__}")
    if kind is float:
        check(value - value == 0, "", value, "be finite")
    return value


def describe(params: Any) -> dict[str, Any]:
    """Give the values of a dataclass as plain nested mappings, without those that matter in training alone."""
    plain = dataclasses.asdict(params)
    return {
        field.name: plain[field.name] for field in dataclasses.fields(params) if "training_only" not in field.metadata
    }


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted names: {"loss": {"chroma": 1}} to {"loss.chroma": 1}."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


@contextmanager
def below(key: str) -> Iterator[None]:
    """Name the section in which an error was found."""
    try:
        yield
    except ParamsError as error:
        joint = "." if key and error.key and not error.key.startswith("[") else ""
        raise ParamsError(f"{key}{joint}{error.key}", error.problem) from None


def _build_at(key: str, kind: Any, value: Any) -> Any:
    with below(key):
        return build(kind, value)


def _build_tuple(arguments: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    check(isinstance(value, list | tuple), "", value, "be a list")
    if arguments[-1] is Ellipsis:
        return tuple(_build_at(f"[{index}]", arguments[0], item) for index, item in enumerate(value))
    check(len(value) == len(arguments), "", value, f"have {len(arguments)} entries")
    pairs = enumerate(zip(arguments, value, strict=True))
    return tuple(_build_at(f"[{index}]", kind, item) for index, (kind, item) in pairs)


def _build_chosen(choice: Choice, value: Any) -> Any:
    check(isinstance(value, Mapping), "", value, "be a mapping")
    name, names = value.get(choice.tag), choice.names()
    check(name in names, choice.tag, name, f"be one of {', '.join(names)}")
    return _build_dataclass(choice.find(str(name)), value)


def _build_union(kinds: tuple[Any, ...], value: Any) -> Any:
    """Choose by the first field, which each of the kinds annotates with a literal of its own."""
    tag = dataclasses.fields(kinds[0])[0].name
    named = {typing.get_args(typing.get_type_hints(kind)[tag])[0]: kind for kind in kinds}
    return _build_chosen(Choice(lambda: list(named), named.__getitem__, tag), value)


def _build_dataclass(kind: Any, value: Any) -> Any:
    check(isinstance(value, Mapping), "", value, "be a mapping")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        check(name in fields, str(name), value[name], f"be left out: known keys are {', '.join(fields)}")
    hints = typing.get_type_hints(kind, include_extras=True)
    for name, field in fields.items():
        if name not in value and field.default is dataclasses.MISSING:
            raise ParamsError(name, " is missing")
    return kind(**{name: _build_at(name, hints[name], item) for name, item in value.items()})
