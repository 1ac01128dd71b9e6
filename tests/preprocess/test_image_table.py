"""The table of images: exact, small in memory, and clear when its disk is full."""

from __future__ import annotations

from pathlib import Path

from preprocess.image_table import ImageTable
from tests.support import python

NAMES = ["a.jpg", "sub/\u00fcml\u00e4ut.png", "b\udc80.jpg", "c.jpg"]


def table(folder: Path, names: list[str]) -> ImageTable:
    found = ImageTable(lambda key: folder / key)
    for name in names:
        found.use(name)
    return found


def test_order_and_places(tmp_path: Path) -> None:
    images = table(tmp_path, [*NAMES, NAMES[0], NAMES[2]])
    assert len(images) == 4 and list(images) == NAMES
    assert images.keys(1, 2) == NAMES[1:3] and images.keys(3, 9) == NAMES[3:]
    images.leave_out(NAMES[2], "image b is damaged")
    images.leave_out(NAMES[0], "image a is damaged")
    assert images.index(NAMES[1]) == 0 and images.index(NAMES[3]) == 1
    assert images.fault(NAMES[0]) == "image a is damaged" and images.fault(NAMES[1]) is None


def test_forgotten_images_come_again(tmp_path: Path) -> None:
    images = table(tmp_path, NAMES)
    images.keep(1)
    images.use(NAMES[3])
    assert list(images) == [NAMES[0], NAMES[3]] and images.index(NAMES[3]) == 1


def test_each_file_is_looked_at_once(tmp_path: Path) -> None:
    images = table(tmp_path, [])
    assert images.fault("x.jpg") == "image x.jpg is missing"
    (tmp_path / "x.jpg").write_bytes(b"1")
    assert images.fault("x.jpg") == "image x.jpg is missing"
    assert "cannot be read" in str(images.fault("\0"))


FILL = """
import resource, sys
from pathlib import Path
from benchmarks.measure import memory
from preprocess.image_table import ImageTable
limit = int(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
images = ImageTable(Path)
images.use("first")
before = memory("VmRSS")
for i in range(200_000):
    images.use(f"train2014/COCO_train2014_{i:012d}.jpg")
assert images.index("train2014/COCO_train2014_000000123456.jpg") == 123457
print(memory("VmRSS") - before)
"""


def test_memory_is_bounded() -> None:
    assert int(python("-c", FILL, 0).stdout) < 4 << 20


def test_full_disk_is_one_line() -> None:
    failed = python("-c", FILL, 1 << 20, check=False)
    assert "SQLITE_TMPDIR" in failed.stderr.splitlines()[-1]
