"""AdamW with the reference's update rule and parameter groups."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II
from torch import Tensor
from torch.nn import Parameter

from mt_fairseq.errors import UserError
from mt_fairseq.ranges import AT_LEAST_0, SHARE_BELOW_1

BASE_GROUP = "base"


@dataclass
class AdamWConfig(FairseqDataclass):
    """Defaults of the papers' runs (ManagerTower Table 8); learning rates from --lr."""

    adam_beta1: float = field(
        default=0.9, metadata={"help": "decay of the first moment", "range": SHARE_BELOW_1}
    )
    adam_beta2: float = field(
        default=0.98, metadata={"help": "decay of the second moment", "range": SHARE_BELOW_1}
    )
    adam_eps: float = field(
        default=1e-8,
        metadata={"help": "added to the root of the 2nd moment", "range": AT_LEAST_0},
    )
    weight_decay: float = field(
        default=0.01,
        metadata={
            "help": "decoupled weight decay; none on biases and layer norms",
            "range": AT_LEAST_0,
        },
    )
    head_lr_multiplier: float = field(
        default=1.0,
        metadata={"help": "learning rate of task heads, in units of --lr", "range": AT_LEAST_0},
    )
    cross_modal_lr_multiplier: float = field(
        default=1.0,
        metadata={
            "help": "learning rate of cross-modal layers, managers, projections and poolers, "
            "in units of --lr (the papers use 5)",
            "range": AT_LEAST_0,
        },
    )
    lr: list[float] = field(default=II("optimization.lr"))


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay, as transformers 4 has it.

    It differs from torch's AdamW in two ways: epsilon is added to the root of the *uncorrected*
    second moment, with both bias corrections in the step size; and weight decay comes after the
    step, on the updated value.

    Args:
        params: parameters or groups of them.
        lr, betas, eps, weight_decay: defaults of a group.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_step: dict[int, list[Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_step.setdefault(self._next_step(parameter), []).append(parameter)
            for number, parameters in by_step.items():
                self._update(group, parameters, number)
        return loss

    def _next_step(self, parameter: Parameter) -> int:
        """Count this update of the parameter, from 1, and make its moments at the first."""
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        return state["step"]

    def _update(self, group: dict[str, Any], parameters: list[Parameter], number: int) -> None:
        tensors: list[Tensor] = [p.data for p in parameters]
        gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
        beta1, beta2 = group["betas"]
        lr, decay = group["lr"], group["weight_decay"]
        first = [self.state[p]["exp_avg"] for p in parameters]
        second = [self.state[p]["exp_avg_sq"] for p in parameters]
        torch._foreach_mul_(first, beta1)
        torch._foreach_add_(first, gradients, alpha=1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        size = lr * (1 - beta2**number) ** 0.5 / (1 - beta1**number)
        roots = torch._foreach_sqrt(second)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(tensors, first, roots, -size)
        if decay:
            torch._foreach_add_(tensors, tensors, alpha=-lr * decay)


@register_optimizer("adamw", dataclass=AdamWConfig)
class TwoTowerAdamW(FairseqOptimizer):
    """fairseq's optimizer around ``AdamW``: groups by the parameters' ``param_group`` tags.

    A tag is a part, "base", "cross_modal" or "head", and ".no_decay" behind it for parameters
    without weight decay. Parameters without a tag count as "base".
    """

    def __init__(self, cfg: AdamWConfig, params: Iterable[Parameter]) -> None:
        super().__init__(cfg)
        self._lr = float(cfg.lr[0])
        groups: dict[str, list[Parameter]] = {}
        for parameter in params:
            groups.setdefault(getattr(parameter, "param_group", BASE_GROUP), []).append(parameter)
        self._optimizer = AdamW(
            [{"params": groups[name], **self._group_options(name)} for name in sorted(groups)],
            **self.optimizer_config,
        )
        self.set_lr(self._lr)

    def _group_options(self, name: str) -> dict[str, Any]:
        part, _, no_decay = name.partition(".")
        multipliers = {
            BASE_GROUP: 1.0,
            "cross_modal": self.cfg.cross_modal_lr_multiplier,
            "head": self.cfg.head_lr_multiplier,
        }
        if part not in multipliers:
            raise ValueError(f"unknown parameter group {name!r}")
        decay = 0.0 if no_decay else self.cfg.weight_decay
        return {"name": name, "lr_multiplier": multipliers[part], "weight_decay": decay}

    @property
    def optimizer_config(self) -> dict[str, Any]:
        """What every group has in common."""
        cfg = self.cfg
        return {"lr": self._lr, "betas": (cfg.adam_beta1, cfg.adam_beta2), "eps": cfg.adam_eps}

    def get_lr(self) -> float:
        """The base learning rate; groups have multiples of it."""
        return self._lr

    def set_lr(self, lr: float) -> None:
        """Set the base learning rate; every group keeps its multiplier."""
        self._lr = lr
        for group in self.param_groups:
            group["lr"] = lr * group["lr_multiplier"]

    def load_state_dict(
        self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None
    ) -> None:
        """Take moments and step counts; options are those of this run, not of the file."""
        names = [group["name"] for group in self.param_groups]
        saved = [group.get("name") for group in state_dict["param_groups"]]
        if saved != names:
            raise UserError(
                "the checkpoint's optimizer has other parameter groups than this model: "
                "resume with the same options, or add --reset-optimizer"
            )
        self.optimizer.load_state_dict(state_dict)
        for group in self.param_groups:
            group.update(self.optimizer_config)
            group.update(self._group_options(group["name"]))
            group.update(optimizer_overrides or {})
        self.set_lr(self._lr)

    @property
    def supports_flat_params(self) -> bool:
        """Never: one flat tensor of all parameters would lose the groups."""
        raise UserError(
            "--optimizer adamw has parameter groups, which one flat tensor of all parameters "
            "cannot keep: add --fp16-no-flatten-grads to --fp16"
        )
