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


@dataclass
class Report:
    """What a conversion did with every name; kept by the converted model as ``conversion``.

    Attributes:
        mapped: foreign name -> names that it became, or the other way round on the way out.
        missing: parameters of the converted model that the source lacks.
        left_over: tensors of the source that the converted model has no place for.
        unused: tensors of the source that are known to be read by nothing.
    """

    mapped: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"mapped: {len(self.mapped)} tensors"]
        for name in ("missing", "left_over", "unused"):
            items = getattr(self, name)
            lines.append(f"{name.replace('_', ' ')}: {len(items) or 'none'}{_examples(items)}")
        return "\n".join(lines)


def _examples(names: list[str], most: int = 4) -> str:
    """A few of the names in brackets; nothing for none."""
    if not names:
        return ""
    return f" ({', '.join(names[:most])}{', ...' if len(names) > most else ''})"


def check_leftovers(report: Report, source: str, allow_leftovers: bool) -> None:
    """UserError for leftovers, unless they are allowed."""
    if report.left_over and not allow_leftovers:
        raise UserError(
            f"{source}: {len(report.left_over)} tensors have no place in this model"
            f"{_examples(report.left_over)}: is the configuration right? "
            "(--allow-leftovers goes on without them)"
        )


def load_converted(
    model: torch.nn.Module, conversion: Conversion, source: str, allow_leftovers: bool = False
) -> Report:
    """Put converted tensors into ``model``; none of its parameters may lack.

    Tensors may differ by axes of size 1 from ours (the reference keeps such for broadcasting).

    Raises:
        UserError: leftovers unless allowed, missing tensors, or other shapes, each named.
    """
    own = model.state_dict()
    homeless = [
        name
        for name, places in conversion.mapped.items()
        if not any(place.target in own for place in places)
    ]
    report = Report(
        mapped={
            name: [place.target for place in places]
            for name, places in conversion.mapped.items()
            if name not in homeless
        },
        missing=sorted({name for name, _ in model.named_parameters()} - set(conversion.tensors)),
        left_over=sorted([*conversion.left_over, *homeless]),
        unused=sorted(conversion.dropped),
    )
    check_leftovers(report, source, allow_leftovers)
    if report.missing:
        raise UserError(
            f"{source}: does not fit its configuration; the file lacks what becomes "
            f"{len(report.missing)} parameters{_examples(report.missing)}"
        )
    tensors = {
        name: _fit(tensor, own[name], name, source)
        for name, tensor in conversion.tensors.items()
        if name in own
    }
    model.load_state_dict({**own, **tensors}, strict=True)
    model.conversion = report  # type: ignore[assignment]
    return report


def _fit(tensor: Tensor, own: Tensor, name: str, source: str) -> Tensor:
    """``tensor`` in the shape of ``own``, from which it may differ by axes of size 1."""
    if [n for n in tensor.shape if n > 1] != [n for n in own.shape if n > 1]:
        raise UserError(
            f"{source}: {name} has shape {tuple(tensor.shape)}, "
            f"but the configuration makes it {tuple(own.shape)}"
        )
    return tensor.reshape(own.shape)
