"""An engine for tables of names: where each tensor of a foreign checkpoint goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mt_fairseq.errors import UserError


@dataclass(frozen=True)
class Place:
    """Where (a part of) a foreign tensor goes.

    Attributes:
        target: our parameter's name.
        part: rows of the foreign tensor along its first axis; None: all of it.
        row: the row of our parameter that it fills; None: all of it.
    """

    target: str
    part: slice | None = None
    row: int | None = None


@dataclass(frozen=True)
class Rule:
    """Foreign names that match ``pattern`` go to ``places(match, tensor)``; none: left out."""

    pattern: str
    places: Callable[[re.Match[str], Tensor], list[Place]]


def to(pattern: str, target: str) -> Rule:
    r"""A rule that moves a tensor as it is; ``target`` may hold \1, \2 of the pattern."""
    return Rule(pattern, lambda match, _: [Place(match.expand(target))])


def chunk(pattern: str, *targets: str) -> Rule:
    """A rule that cuts a tensor into equal parts along its first axis."""

    def places(match: re.Match[str], tensor: Tensor) -> list[Place]:
        size = len(tensor) // len(targets)
        return [
            Place(match.expand(target), slice(i * size, (i + 1) * size))
            for i, target in enumerate(targets)
        ]

    return Rule(pattern, places)


def drop(pattern: str) -> Rule:
    """A rule for tensors that nothing reads."""
    return Rule(pattern, lambda match, _: [])


@dataclass
class Conversion:
    """Result of a conversion: our tensors, and what became of every foreign name."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    mapped: dict[str, list[Place]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)


def convert(foreign: Mapping[str, Tensor], rules: Iterable[Rule]) -> Conversion:
    """Apply the first matching rule to each tensor; names without a rule are left over."""
    compiled = [(re.compile(rule.pattern), rule) for rule in rules]
    result = Conversion()
    rows: dict[str, dict[int, Tensor]] = {}
    for name, tensor in foreign.items():
        places = _places(compiled, name, tensor)
        if places is None:
            result.left_over.append(name)
            continue
        if not places:
            result.dropped.append(name)
            continue
        result.mapped[name] = places
        for place in places:
            part = tensor if place.part is None else tensor[place.part]
            if place.row is None:
                result.tensors[place.target] = part
            else:
                rows.setdefault(place.target, {})[place.row] = part
    for target, parts in rows.items():
        result.tensors[target] = torch.stack([parts[i] for i in sorted(parts)])
    return result


def gather(places: Iterable[Place], ours: Mapping[str, Tensor]) -> Tensor:
    """The way back: the foreign tensor that was put into ``places``, parts in order.

    For parts that were rows or equal cuts of the first axis.
    """
    parts = []
    for place in places:
        value = ours[place.target]
        parts.append(value if place.row is None else value[place.row])
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _places(
    compiled: list[tuple[re.Pattern[str], Rule]], name: str, tensor: Tensor
) -> list[Place] | None:
    """Places by the first rule whose pattern matches; None without one."""
    for pattern, rule in compiled:
        match = pattern.fullmatch(name)
        if match:
            return rule.places(match, tensor)
    return None


def load_converted(model: torch.nn.Module, conversion: Conversion, source: str) -> None:
    """Put converted tensors into ``model``; every one must find its place, and none may lack.

    Tensors may differ by axes of size 1 from ours (the reference keeps such for broadcasting).

    Raises:
        UserError: leftovers, missing tensors, or other shapes, each named.
    """
    if conversion.left_over:
        raise UserError(
            f"{source}: {len(conversion.left_over)} tensors have no place in this model, "
            f"for example {', '.join(conversion.left_over[:3])}: is the configuration right?"
        )
    own = model.state_dict()
    missing = sorted({name for name, _ in model.named_parameters()} - set(conversion.tensors))
    unknown = sorted(set(conversion.tensors) - set(own))
    if missing or unknown:
        raise UserError(
            f"{source}: does not fit its configuration; the model lacks {unknown[:3]}, "
            f"the file lacks {missing[:3]}"
        )
    tensors = {}
    for name, tensor in conversion.tensors.items():
        if [n for n in tensor.shape if n > 1] != [n for n in own[name].shape if n > 1]:
            raise UserError(
                f"{source}: {name} has shape {tuple(tensor.shape)}, "
                f"but the configuration makes it {tuple(own[name].shape)}"
            )
        tensors[name] = tensor.reshape(own[name].shape)
    model.load_state_dict({**own, **tensors}, strict=True)
