"""Run commands one after the other: printed, logged, timed, and skipped when done before."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mt_fairseq.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
# Threads of a tiny model meet thousands of times a second: they must not go to sleep at once (half
# the speed), nor spin for long (many times slower as soon as anything else wants a core).
THREADS = {"OMP_NUM_THREADS": str(min(2, os.cpu_count() or 1)), "GOMP_SPINCOUNT": "30000"}
SHOWN_ON_FAILURE = 12  # last lines of a log


@dataclass(frozen=True)
class Stage:
    """One command of the run."""

    name: str
    title: str
    command: Sequence[str]  # as a user would type it
    makes: Sequence[Path] = field(default=())  # removed when the command has changed
    resumes: bool = False  # whether the command goes on by itself where it was stopped
    show: Callable[[str], str | None] | None = None  # a log line -> what to show of it


class Runner:
    """Runs stages; what is done is remembered in ``out``/stages."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.seconds: dict[str, float] = {}
        self.stale = False  # once a stage has run, all later ones must
        (out / "stages").mkdir(parents=True, exist_ok=True)
        (out / "logs").mkdir(exist_ok=True)

    def run(self, stage: Stage) -> None:
        """Run the stage unless it is done; UserError with the log's end if it fails."""
        record = self._record(stage)
        same = record.get("command") == list(stage.command)
        print(f"\n== {stage.title}\n$ {shlex.join(stage.command)}", flush=True)
        if same and record.get("done") and not self.stale:
            self.seconds[stage.name] = record["seconds"]
            print(f"   done before, in {clock(record['seconds'])}", flush=True)
            return
        if not (same and stage.resumes and not self.stale):
            for path in stage.makes:
                remove(path)
        self.stale = True
        spent = record.get("seconds", 0.0) if same and stage.resumes else 0.0
        self._remember(stage, done=False, seconds=spent)
        start = time.monotonic()
        code = self._execute(stage)
        seconds = spent + time.monotonic() - start
        self._remember(stage, done=code == 0, seconds=seconds)
        if code:
            raise UserError(self._failure(stage, code))
        self.seconds[stage.name] = seconds
        print(f"   took {clock(seconds)}", flush=True)

    def log(self, stage: Stage) -> Path:
        return self.out / "logs" / f"{stage.name}.log"

    def _execute(self, stage: Stage) -> int:
        """Run with output to the log; progress bars go to the terminal as they are."""
        process = subprocess.Popen(
            executable(stage.command),
            cwd=ROOT,
            env={**THREADS, **os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        # newline="": the carriage returns of progress bars end lines too
        output = io.TextIOWrapper(process.stdout, errors="replace", newline="")
        try:
            with self.log(stage).open("a", encoding="utf-8") as log:
                for line in output:
                    log.write(line)
                    log.flush()
                    shown = stage.show(line) if stage.show else line.rstrip("\n")
                    if shown is not None:
                        print(f"   {shown.strip()}", flush=True)
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()

    def _file(self, stage: Stage) -> Path:
        return self.out / "stages" / f"{stage.name}.json"

    def _record(self, stage: Stage) -> dict:
        path = self._file(stage)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _remember(self, stage: Stage, done: bool, seconds: float) -> None:
        content = {"command": list(stage.command), "done": done, "seconds": round(seconds, 1)}
        self._file(stage).write_text(json.dumps(content, indent=1), encoding="utf-8")

    def _failure(self, stage: Stage, code: int) -> str:
        lines = self.log(stage).read_text(encoding="utf-8").splitlines()[-SHOWN_ON_FAILURE:]
        told = [line for line in lines if line.startswith("error:")]
        reason = told[-1].removeprefix("error:").strip() if told else f"exit code {code}"
        if not told:
            print("\n".join(f"   | {line}" for line in lines), file=sys.stderr)
        return f"{stage.title} failed: {reason}; the whole output is in {self.log(stage)}"


def executable(command: Sequence[str]) -> list[str]:
    """The command with this environment's own programs."""
    name, *rest = command
    if name == "python":
        return [sys.executable, *rest]
    beside = Path(sys.executable).parent / name
    return [str(beside) if beside.exists() else name, *rest]


def remove(path: Path) -> None:
    """Remove a file, a link or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clock(seconds: float) -> str:
    """ "2:05"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
