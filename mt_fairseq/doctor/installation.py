"""Versions, compiled parts, devices: what can be wrong before any data is touched."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from mt_fairseq.doctor.findings import FAIL, OK, WARN, Check, Finding
from mt_fairseq.errors import FAIRSEQ, INSTALL_FAIRSEQ

MINIMUM = {
    "torch": (2, 6),
    "transformers": (5, 20),
    "numpy": (1, 26),
    "h5py": (3, 8),
    "pillow": (10, 3),
    "sentencepiece": (0, 2),
    "safetensors": (0, 4),
    "matplotlib": (3, 9),
    "tensorboard": (2, 14),
    "tqdm": (4, 64),
    # fairseq's, which is installed without its requirements
    "bitarray": (2,),
    "cffi": (1, 15),
    "cython": (3,),
    "hydra-core": (1, 3, 2),
    "omegaconf": (2, 3, 0),
    "packaging": (22,),
    "regex": (2022, 1, 18),
    "sacrebleu": (1, 4, 12),
    "scikit-learn": (1, 2),
}
IMPORT_NAMES = {
    "pillow": "PIL",
    "cython": "Cython",
    "hydra-core": "hydra",
    "scikit-learn": "sklearn",
}
INSTALL = "python -m pip install -c constraints.txt"
EXTENSIONS = (
    "fairseq.data.data_utils_fast",
    "fairseq.data.token_block_utils_fast",
    "fairseq.libbase",
    "fairseq.libnat",
)


def numbers(version: str) -> tuple[int, ...]:
    """``"2.13.0+cpu"`` -> (2, 13, 0)."""
    parts = []
    for part in version.split("+")[0].split("."):
        digits = "".join(character for character in part if character.isdigit())
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)


def python() -> Iterator[Finding]:
    # An older Python cannot even read this file.
    yield Finding(OK, f"python {'.'.join(map(str, sys.version_info[:3]))}")


def packages() -> Iterator[Finding]:
    for name, minimum in MINIMUM.items():
        wanted = ".".join(map(str, minimum))
        try:
            version = importlib.metadata.version(name)
            importlib.import_module(IMPORT_NAMES.get(name, name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(FAIL, f"{name}: not installed; {INSTALL} '{name}>={wanted}'")
        except Exception as error:  # a package that is there and broken
            yield Finding(FAIL, f"{name}: can't be imported ({error}); install it again")
        else:
            if numbers(version) < minimum:
                yield Finding(FAIL, f"{name} {version}: {wanted} or later is needed")
            else:
                yield Finding(OK, f"{name} {version}")


def fairseq() -> Iterator[Finding]:
    if importlib.util.find_spec("fairseq") is None:
        yield Finding(FAIL, f"fairseq: not installed; {INSTALL_FAIRSEQ}")
        return
    try:
        version = importlib.metadata.version("fairseq-fixed")
    except importlib.metadata.PackageNotFoundError:
        yield Finding(FAIL, f"fairseq: not the maintained build; {INSTALL_FAIRSEQ}")
        return
    if f"fairseq-fixed=={version}" != FAIRSEQ:
        yield Finding(WARN, f"fairseq-fixed {version}: tested with {FAIRSEQ}")
    else:
        yield Finding(OK, f"fairseq-fixed {version}")


def compiled_extensions() -> Iterator[Finding]:
    for name in EXTENSIONS:
        try:
            importlib.import_module(name)
        except ImportError as error:
            reason = "not compiled" if isinstance(error, ModuleNotFoundError) else str(error)
            yield Finding(
                FAIL,
                f"{name}: {reason}; with a C++ compiler, {INSTALL_FAIRSEQ} --no-cache-dir "
                "--force-reinstall",
            )
        else:
            yield Finding(OK, f"compiled extension {name}")


def torchaudio() -> Iterator[Finding]:
    """fairseq names it as a requirement; nothing here uses it, so it may be absent."""
    if importlib.util.find_spec("torchaudio") is None:
        return
    try:
        importlib.import_module("torchaudio")
    except Exception as error:  # OSError for a library that is missing, RuntimeError for its CUDA
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        yield Finding(
            FAIL,
            f"torchaudio: can't be loaded beside this torch ({reason}), and transformers imports "
            "it wherever it is; nothing here needs it: python -m pip uninstall torchaudio",
        )
    else:
        yield Finding(OK, "torchaudio can be loaded")


def transformers_models() -> Iterator[Finding]:
    """transformers imports a model's files when it is asked for; exported folders need them."""
    # attributes of the package itself, as a user imports them
    getattr(importlib.import_module("transformers"), "BridgeTowerModel")  # noqa: B009
    yield Finding(OK, "transformers' models can be imported")


def shadowed_packages() -> Iterator[Finding]:
    """A folder of a package's name in the working directory is imported in its place."""
    here = Path.cwd().resolve()
    own = Path(__file__).resolve().parents[2]
    for name in ("torch", "fairseq", "transformers", "preprocess", "mt_fairseq"):
        folder = here / name
        if not folder.is_dir() or (here == own and name in ("preprocess", "mt_fairseq")):
            continue
        yield Finding(
            WARN, f"{folder}: hides the package {name}; start from another folder or rename it"
        )


def devices() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            major, minor = torch.cuda.get_device_capability(number)
            bf16 = "" if major >= 8 else "; no bfloat16 in hardware, use --fp16"
            yield Finding(
                OK,
                f"cuda:{number} {about.name}, {about.total_memory / 2**30:.0f} GiB, "
                f"capability {major}.{minor}{bf16 or ', bfloat16'}",
            )
    elif torch.version.cuda:
        yield Finding(WARN, f"torch is built for CUDA {torch.version.cuda}, but sees no device")
    else:
        yield Finding(OK, f"no accelerator; {torch.get_num_threads()} CPU threads, use --cpu")
    try:
        fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without oneDNN
        fast = False
    yield Finding(OK, f"bfloat16 on the CPU: {'in hardware' if fast else 'emulated, slow'}")


def plug_in() -> Iterator[Finding]:
    importlib.import_module("mt_fairseq.plugin")
    from fairseq.models import MODEL_REGISTRY
    from fairseq.tasks import TASK_REGISTRY

    tasks, models = (
        sum(entry.__module__.startswith("mt_fairseq.") for entry in registry.values())
        for registry in (TASK_REGISTRY, MODEL_REGISTRY)
    )
    yield Finding(OK, f"plug-in: {tasks} tasks and {models} architectures")


def safe_loading() -> Iterator[Finding]:
    """fairseq's checkpoints hold an argparse.Namespace, which torch must have been told of."""
    import torch

    importlib.import_module("mt_fairseq.plugin")
    stored = io.BytesIO()
    torch.save({"args": argparse.Namespace(lr=[0.1])}, stored)
    stored.seek(0)
    torch.load(stored, weights_only=True)
    yield Finding(OK, "checkpoints are read by torch's safe loader")


def user_dir() -> Iterator[Finding]:
    from mt_fairseq.user_dir import user_dir as installed

    folder = installed()
    if not (folder / "__init__.py").is_file():
        yield Finding(FAIL, f"--user-dir {folder}: is incomplete; install the package again")
    else:
        yield Finding(OK, f"--user-dir {folder}")


CHECKS: tuple[Check, ...] = (
    python,
    packages,
    fairseq,
    compiled_extensions,
    torchaudio,
    transformers_models,
    shadowed_packages,
    devices,
    plug_in,
    safe_loading,
    user_dir,
)
