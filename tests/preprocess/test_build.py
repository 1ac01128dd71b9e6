"""The same bytes whatever the workers, shards, kills and resumptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.__main__ import main

from .raw import build, captions, digest, save_picture, write_jsonl, write_vqa

PACK = ("--images-per-pack", 7)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("raw"), captions(60))


@pytest.fixture(scope="module")
def expected(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return digest(build("jsonl", raw, tmp_path_factory.mktemp("plain") / "bin", *PACK))


@pytest.mark.parametrize("workers", [2, 3])
def test_workers(raw: Path, expected: dict[str, str], tmp_path: Path, workers: int) -> None:
    dest = build("jsonl", raw, tmp_path / "elsewhere", *PACK, "--workers", workers)
    assert digest(dest) == expected


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shards(raw: Path, expected: dict[str, str], tmp_path: Path, order: tuple[int]) -> None:
    dest = tmp_path / "bin"
    for part in order:
        build("jsonl", raw, dest, *PACK, "--shard", f"{part}/3")
        with pytest.raises(UserError, match="unfinished"):
            DataBin(dest)
    build("jsonl", raw, dest, *PACK, "--resume")
    assert digest(dest) == expected


def command(raw: Path, dest: Path, *options: object) -> list[str]:
    return [sys.executable, "-m", "preprocess", "jsonl", "--raw", str(raw), "--dest", str(dest),
            "--vocab-size", "100", *map(str, PACK), *map(str, options)]  # fmt: skip


def test_killed_and_resumed(tmp_path: Path) -> None:
    """kill -9 to the whole process group as soon as a few packs are there, several times."""
    raw = write_jsonl(tmp_path / "raw", captions(300))
    plain = digest(build("jsonl", raw, tmp_path / "plain", *PACK))
    dest = tmp_path / "bin"
    wanted = 3
    while True:
        run = subprocess.Popen(command(raw, dest, "--resume", "--workers", 2),
                               stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        while run.poll() is None and len(list(dest.glob("images/*.h5"))) < wanted:
            time.sleep(0.005)
        if run.poll() is not None:
            break
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        wanted = len(list(dest.glob("images/*.h5"))) + 12
    assert run.returncode == 0
    assert digest(dest) == plain


def started(raw: Path, dest: Path) -> subprocess.Popen[str]:
    """A run with two workers, under way."""
    run = subprocess.Popen(
        command(raw, dest, "--workers", 2),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # tests that a shell runs in the background have inherited "ignore Ctrl-C" from it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while run.poll() is None and len(list(dest.glob("images/*.h5"))) < 2:
        time.sleep(0.002)
    assert run.poll() is None
    return run


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough pictures that a run can be met on its way."""
    raw = tmp_path_factory.mktemp("large")
    rows = captions(3000)
    Image.effect_noise((300, 300), 90).save(raw / "noise.png")
    for row in rows:
        os.link(raw / "noise.png", raw / row["image"])
    (raw / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return raw


def test_interrupt_is_one_line(large: Path, tmp_path: Path) -> None:
    run = started(large, tmp_path / "bin")
    os.killpg(run.pid, signal.SIGINT)  # as Ctrl-C does: parent and workers
    assert run.wait(timeout=30) == 130
    assert run.stderr is not None
    lines = run.stderr.read().strip().splitlines()
    assert lines[-1].endswith("interrupted") and not any("Traceback" in line for line in lines)
    assert not list(tmp_path.rglob("*.tmp"))


def test_killed_worker_is_one_line(large: Path, tmp_path: Path) -> None:
    run = started(large, tmp_path / "bin")
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert run.wait(timeout=60) == 2
    assert run.stderr is not None
    last = run.stderr.read().strip().splitlines()[-1]
    assert "a worker process was killed" in last and "--resume" in last


def test_killed_while_writing_a_split(raw: Path, expected: dict[str, str], tmp_path: Path) -> None:
    """What such a kill leaves: all packs, no metadata, stray temporary files."""
    dest = build("jsonl", raw, tmp_path / "bin", *PACK, "--shard", "1/1")
    (dest / "train.text.bin.host.1.tmp").write_bytes(b"half")
    (dest / "images" / "00003.spool.host.1.tmp").write_bytes(b"half")
    (dest / "train.text.bin").write_bytes(b"old")
    build("jsonl", raw, dest, *PACK, "--resume")
    assert digest(dest) == expected


def test_resume_of_a_finished_one_changes_nothing(raw: Path, tmp_path: Path) -> None:
    dest = build("jsonl", raw, tmp_path / "bin", *PACK)
    times = {p: p.stat().st_mtime_ns for p in dest.rglob("*")}
    build("jsonl", raw, dest, *PACK, "--resume")
    assert times == {p: p.stat().st_mtime_ns for p in dest.rglob("*")}
    with pytest.raises(UserError, match=r"vocab-size 100 \(now 90\)"):
        build("jsonl", raw, dest, *PACK, "--resume", "--vocab-size", 90)


def test_resume_with_other_options_or_data(raw: Path, tmp_path: Path) -> None:
    dest = build("jsonl", raw, tmp_path / "bin", *PACK, "--shard", "1/2")
    with pytest.raises(UserError, match=r"begun with resize None \(now 16\)"):
        build("jsonl", raw, dest, *PACK, "--resume", "--resize", 16)
    other = write_jsonl(tmp_path / "raw2", captions(61))
    with pytest.raises(UserError, match="--dest"):
        build("jsonl", other, dest, *PACK, "--resume")


def test_existing_destinations(raw: Path, tmp_path: Path) -> None:
    dest = build("jsonl", raw, tmp_path / "bin")
    with pytest.raises(UserError, match=r"exists; --overwrite replaces it.*--resume"):
        build("jsonl", raw, dest)
    build("jsonl", raw, dest, "--overwrite", "--resize", 16)
    assert DataBin(dest).metadata["images"]["resize"] == 16
    foreign = tmp_path / "home"
    (foreign / "letters").mkdir(parents=True)
    for option in ("--overwrite", "--resume"):
        with pytest.raises(UserError, match="is no data-bin"):
            build("jsonl", raw, foreign, option)
    assert (foreign / "letters").is_dir()


def test_overwrite_keeps_the_old_one_until_the_input_is_known_to_be_good(
    raw: Path, tmp_path: Path
) -> None:
    dest = build("jsonl", raw, tmp_path / "bin")
    before = digest(dest)
    bad = write_jsonl(tmp_path / "bad", [{"image": "1.jpg", "text": ""}, *captions(2)])
    with pytest.raises(UserError, match="text is empty"):
        build("jsonl", bad, dest, "--overwrite")
    assert digest(dest) == before


def test_resize_and_pixels(raw: Path, tmp_path: Path) -> None:
    small = DataBin(build("jsonl", raw, tmp_path / "a", "--resize", 28))
    plain = DataBin(build("jsonl", raw, tmp_path / "b"))
    pixels = DataBin(build("jsonl", raw, tmp_path / "c", "--resize", 28, "--store", "pixels"))
    for i in range(len(plain.images)):
        height, width = plain.images.size(i)
        image = small.images.image(i)
        assert (image.height, image.width) == small.images.size(i) == pixels.images.size(i)
        assert pixels.images.image(i).size == image.size
        if min(height, width) <= 28:
            assert small.images.raw(i) == plain.images.raw(i)  # never enlarged
        else:
            assert min(image.size) == 28
            assert abs(image.width / image.height - width / height) < 0.04
    assert plain.images.raw(0) == (raw / "000.jpg").read_bytes()


def test_tokenizer_of_another_data_bin(tmp_path: Path) -> None:
    first = DataBin(build("jsonl", write_jsonl(tmp_path / "a", captions(20)), tmp_path / "bin-a"))
    raw = write_vqa(tmp_path / "b", images=3, test=False)
    second = DataBin(build("vqav2", raw, tmp_path / "bin-b", "--tokenizer", first.path,
                           "--min-answer-count", 1))  # fmt: skip
    assert second.tokenizer.fingerprint == first.tokenizer.fingerprint
    assert (second.path / "dict.txt").read_bytes() == (first.path / "dict.txt").read_bytes()


def test_nothing_in_a_data_bin_tells_where_it_was_made(raw: Path, tmp_path: Path) -> None:
    dest = build("jsonl", raw, tmp_path / "bin")
    for path in dest.rglob("*"):
        if path.is_file():
            assert str(raw).encode() not in path.read_bytes()
            assert str(tmp_path).encode() not in path.read_bytes()


def test_long_texts_are_counted_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = captions(5)
    rows[2]["text"] = "word " * 300
    dest = build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin",
                 "--max-text-len", 30)  # fmt: skip
    about = DataBin(dest).metadata["splits"]["train"]
    assert about["longer_than_max_text_len"] == 1 and about["longest_text"] >= 300
    assert DataBin(dest).split("train").text_lengths[2] >= 300
    assert "1 texts longer than 30 tokens" in capsys.readouterr().err


MEMORY = """
import resource, sys
from preprocess.__main__ import main
main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_flat(tmp_path: Path) -> None:
    """Eight times the images (of 150 KB each) may not take more memory."""
    raw = tmp_path / "raw"
    raw.mkdir()
    save_picture(raw / "noise.png", 1)
    Image.effect_noise((400, 400), 90).save(raw / "noise.png")
    size = (raw / "noise.png").stat().st_size
    peaks = []
    for count in (100, 800):
        for i in range(count):
            (raw / f"{i:03d}.jpg").unlink(missing_ok=True)
            os.link(raw / "noise.png", raw / f"{i:03d}.jpg")
        (raw / "train.jsonl").write_text("\n".join(json.dumps(row) for row in captions(count)))
        out = subprocess.run([sys.executable, "-c", MEMORY, "jsonl", "--raw", str(raw), "--dest",
                              str(tmp_path / str(count)), "--workers", "1"],
                             check=True, capture_output=True, text=True)  # fmt: skip
        peaks.append(int(out.stdout) * 1024)
    assert peaks[1] - peaks[0] < 0.15 * 700 * size


def test_help_is_quick_and_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    times = []  # of the processor: waiting for one on a busy machine is not ours
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "preprocess", "--help"], check=True,
                       capture_output=True)  # fmt: skip
        now = os.times()
        spent = now.children_user + now.children_system
        times.append(spent - before.children_user - before.children_system)
    assert min(times) < 0.5
    with pytest.raises(SystemExit):
        main(["vqav2", "--help"])
    assert "v2_OpenEnded_mscoco_" in capsys.readouterr().out
