"""Packs: what goes in comes out, from any process; damage is found; nothing is half written."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from mt_fairseq.data.image_pack import PackReader, PackWriter
from mt_fairseq.data.images import ImageStore
from mt_fairseq.errors import UserError
from tests.support import python


def blobs(count: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(int(n)) for n in rng.integers(1, 500, count)]


def write_pack(path: Path, data: list[bytes], prefix: str = "") -> Path:
    with PackWriter(path) as writer:
        for i, blob in enumerate(data):
            writer.add(f"{prefix}ümläut/{i}.jpg", blob, i + 1, 2 * i + 1)
    return path


def png(colour: tuple[int, int, int], size: tuple[int, int] = (6, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_round_trip(tmp_path: Path) -> None:
    data = blobs(50)
    pack = PackReader(write_pack(tmp_path / "p.h5", data))
    assert len(pack) == 50
    assert [pack.raw(i) for i in range(50)] == data
    assert pack.key(7) == "ümläut/7.jpg"
    assert pack.size(7) == (8, 15)


def test_layout_is_plain_hdf5(tmp_path: Path) -> None:
    data = blobs(5)
    with h5py.File(write_pack(tmp_path / "p.h5", data)) as file:
        assert dict(file.attrs) == {"format": "mt-image-pack", "version": 1, "encoding": "encoded"}
        assert file["bytes"].dtype == np.uint8 and file["bytes"].chunks is None
        assert file["offset"].shape == (6,) and file["size"].shape == (5, 2)
        assert bytes(file["bytes"][file["offset"][2] : file["offset"][3]]) == data[2]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one = write_pack(tmp_path / "a.h5", blobs(20))
    time.sleep(1.1)  # HDF5 would store the second of creation
    assert one.read_bytes() == write_pack(tmp_path / "b.h5", blobs(20)).read_bytes()


@pytest.mark.parametrize("expected", [20, 300])
def test_expected_images_change_no_byte(tmp_path: Path, expected: int) -> None:
    """The bytes are at their place at once if the keys are those expected, else they move there."""
    data = blobs(20)
    names = [f"ümläut/{i}.jpg" for i in range(expected)]
    with PackWriter(tmp_path / "a.h5", expected=names) as writer:
        for i, blob in enumerate(data):
            writer.add(f"ümläut/{i}.jpg", blob, i + 1, 2 * i + 1)
    plain = write_pack(tmp_path / "b.h5", data)
    # else one of the two ways alone would be tested
    assert (PackReader(tmp_path / "a.h5").open().start == writer.start) == (expected == 20)
    assert (tmp_path / "a.h5").read_bytes() == plain.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.h5", "b.h5"]


def test_store_over_several_packs(tmp_path: Path) -> None:
    parts = [blobs(3, 1), [], blobs(4, 2)]
    paths = [write_pack(tmp_path / f"{k}.h5", part, str(k)) for k, part in enumerate(parts)]
    store = ImageStore(paths)
    assert len(store) == 7
    assert [store.raw(i) for i in range(7)] == parts[0] + parts[2]
    assert store.key(3).startswith("2")
    for bad in (-1, 7):
        with pytest.raises(IndexError):
            store.raw(bad)


def test_image_and_size_agree(tmp_path: Path) -> None:
    with PackWriter(tmp_path / "p.h5") as writer:
        writer.add("red", png((255, 0, 0)), 4, 6)
    store = ImageStore([tmp_path / "p.h5"])
    assert store.image(0).getpixel((0, 0)) == (255, 0, 0)
    assert store.size(0) == (4, 6) and store.image(0).size == (6, 4)


def test_pixels_encoding(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    with PackWriter(tmp_path / "p.h5", "pixels") as writer:
        writer.add("x", picture.tobytes(), 5, 7)
    image = ImageStore([tmp_path / "p.h5"]).image(0)
    np.testing.assert_array_equal(np.asarray(image), picture)


def _read_all(store: ImageStore, queue: multiprocessing.Queue[list[bytes]]) -> None:
    queue.put([store.raw(i) for i in range(len(store))])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_readers_in_other_processes(tmp_path: Path, method: str) -> None:
    data = blobs(200)
    store = ImageStore([write_pack(tmp_path / "p.h5", data)])
    assert store.raw(3) == data[3]  # open here before the fork
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    workers = [context.Process(target=_read_all, args=(store, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == [data, data]
    for worker in workers:
        worker.join()


def test_pickle_holds_no_handle(tmp_path: Path) -> None:
    store = ImageStore([write_pack(tmp_path / "p.h5", blobs(1000))])
    store.raw(0)
    content = pickle.dumps(store)
    assert len(content) < 1000
    assert pickle.loads(content).raw(999) == store.raw(999)


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), PackWriter(tmp_path / "p.h5") as writer:
        writer.add("a", b"123", 1, 1)
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_damaged_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    with PackWriter(path) as writer:
        writer.add("red.png", png((255, 0, 0)), 4, 6)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"red\.png is damaged"):
        ImageStore([path]).image(0)


def test_cut_off_pack(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "p.h5", blobs(50))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"p\.h5.*(cut off|damaged)"):
        len(PackReader(path))


def test_other_files_and_versions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing"):
        len(PackReader(tmp_path / "none.h5"))
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(UserError, match="no HDF5"):
        len(PackReader(tmp_path / "text.h5"))
    path = write_pack(tmp_path / "p.h5", blobs(2))
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(UserError, match="version 99"):
        len(PackReader(path))


def test_two_million_images_open_at_once(tmp_path: Path) -> None:
    count = 2_000_000
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file.attrs.update({"format": "mt-image-pack", "version": 1, "encoding": "encoded"})
        file["bytes"] = np.zeros(count, np.uint8)
        file["offset"] = np.arange(count + 1)
        file["key"] = np.zeros(count, "S8")
        file["size"] = np.ones((count, 2), np.int32)
        file["crc32"] = np.zeros(count, np.uint32)
    start = time.process_time()
    store = ImageStore([tmp_path / "p.h5"])
    assert store.raw(count - 1) == b"\0"
    assert time.process_time() - start < 0.5


READ_ALL = """
import resource, sys
from pathlib import Path
from mt_fairseq.data.images import ImageStore
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
store = ImageStore(sorted(Path(sys.argv[3]).glob("*.h5")), [1] * 40)
print(sum(len(store.raw(i)) for i in range(40)))
"""


def test_more_packs_than_files_that_may_be_open(tmp_path: Path) -> None:
    data = blobs(40)
    for i, blob in enumerate(data):
        write_pack(tmp_path / f"{i:02d}.h5", [blob])
    done = python("-c", READ_ALL, 64, 1000, tmp_path)
    assert int(done.stdout) == sum(map(len, data))
    refused = python("-c", READ_ALL, 64, 80, tmp_path, check=False)
    assert "--images-per-pack" in refused.stderr.splitlines()[-1]
