"""One image pack: an HDF5 file with the bytes of many images end to end.

Datasets (n images): ``bytes`` flat uint8, ``offset`` int64 (n + 1) into it, ``key`` fixed-length
UTF-8 (n), ``size`` int32 (n, 2) height and width as shown, ``crc32`` uint32 (n) of each image's
bytes. Attributes: ``format``, ``version``, ``encoding`` ("encoded": JPEG, PNG, ... as they came;
"pixels": RGB, height x width x 3).
"""

from __future__ import annotations

import os
import zlib
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from mt_fairseq.data.files import full_disk_is_clear, temporary_name
from mt_fairseq.data.mapped import MappedFile, create_h5, open_h5, write_array
from mt_fairseq.errors import UserError

FORMAT = "mt-image-pack"
VERSION = 1
ENCODINGS = ("encoded", "pixels")
COPY_BYTES = 1 << 22
LIKELY_BYTES = 4096
"""Of a pack that is not known yet: HDF5 puts only very small contents (2 KB) elsewhere."""


class PackIndex:
    """What a pack stores of its images beside their bytes; grows by images or by whole parts."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.offsets = array("q", [0])
        self.sizes = array("i")
        self.sums = array("L")

    def add(self, key: str, data: bytes, height: int, width: int) -> None:
        """Note one image."""
        self.keys.append(key.encode())
        self.offsets.append(self.offsets[-1] + len(data))
        self.sizes.extend((height, width))
        self.sums.append(zlib.crc32(data))

    def extend(self, part: PackIndex) -> None:
        """Note the images of ``part``, whose bytes lie behind those noted so far."""
        start = self.offsets[-1]
        self.keys += part.keys
        self.offsets.extend(start + offset for offset in part.offsets[1:])
        self.sizes += part.sizes
        self.sums += part.sums


class PackWriter:
    """Write a pack with flat memory; the file appears complete or not at all.

    HDF5 wants the lengths of all arrays before the content of a contiguous dataset. So the bytes
    are written first, to the temporary file ``partial``, from ``start`` on: the place where they
    belong if the images are those ``expected``. :meth:`assemble` puts the arrays around them, or
    copies the bytes to their place where other images came.

    Args:
        path: the pack.
        encoding: "encoded" or "pixels".
        expected: keys of all images, as far as they are known.
    """

    def __init__(self, path: Path, encoding: str = "encoded", expected: Sequence[str] = ()) -> None:
        if encoding not in ENCODINGS:
            raise UserError(f"image encoding {encoding!r} is unknown; it is one of {ENCODINGS}")
        self.path = path
        self.encoding = encoding
        self.index = PackIndex()
        self.partial = temporary_name(path)
        self.frame = temporary_name(path.with_suffix(".frame"))
        path.parent.mkdir(parents=True, exist_ok=True)
        likely = PackIndex()
        for key in expected:
            likely.add(key, b"", 0, 0)
        try:
            with full_disk_is_clear(path):
                self.start = _write_frame(self.partial, encoding, likely, LIKELY_BYTES)
        except BaseException:
            self.partial.unlink(missing_ok=True)
            raise
        self.stream = open(self.partial, "r+b")  # noqa: SIM115 - closed in discard
        self.stream.seek(self.start)

    def __enter__(self) -> PackWriter:
        return self

    def add(self, key: str, data: bytes, height: int, width: int) -> None:
        """Append one image (``data`` as the pack's encoding says)."""
        with full_disk_is_clear(self.path):
            self.stream.write(data)
        self.index.add(key, data, height, width)

    def assemble(self) -> None:
        """Make ``partial`` the whole pack, all but its name; no images can be added any more."""
        length = self.index.offsets[-1]
        with full_disk_is_clear(self.path):
            self.stream.close()
            start = _write_frame(self.frame, self.encoding, self.index, length)
            if start == self.start:
                end = start + length
                os.truncate(self.partial, self.frame.stat().st_size)
                _copy(self.frame, 0, self.partial, 0, start)
                _copy(self.frame, end, self.partial, end, self.frame.stat().st_size - end)
                self.frame.unlink()
            else:
                _copy(self.partial, self.start, self.frame, start, length)
                os.replace(self.frame, self.partial)

    def discard(self) -> None:
        """Remove the temporary files that are left."""
        with suppress(OSError):  # what a full disk did not take is lost with the file
            self.stream.close()
        self.partial.unlink(missing_ok=True)
        self.frame.unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.assemble()
                publish(self.partial, self.path)
        finally:
            self.discard()


def publish(partial: Path, path: Path) -> None:
    """Flush a whole pack to disk and give it its name."""
    with full_disk_is_clear(path):
        with open(partial, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(partial, path)


def _write_frame(path: Path, encoding: str, index: PackIndex, length: int) -> int:
    """Write a pack with room for ``length`` bytes of images; gives where that room begins."""
    # The small arrays first and through HDF5, then the room for the bytes, filled by plain
    # writes: so that a full disk is an ordinary error of the operating system.
    with create_h5(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["encoding"] = encoding
        width = max(map(len, index.keys), default=1)
        write_array(file, "key", np.array(index.keys, dtype=f"S{width}"))
        write_array(file, "offset", np.array(index.offsets, dtype=np.int64))
        write_array(file, "size", np.array(index.sizes, dtype=np.int32).reshape(-1, 2))
        write_array(file, "crc32", np.array(index.sums, dtype=np.uint32))
        return _reserve(file, length)


def _reserve(file: h5py.File, length: int) -> int:
    """Create the contiguous ``bytes`` dataset with its place in the file, unwritten."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    settings.set_obj_track_times(False)
    space = h5py.h5s.create_simple((length,))
    dataset = h5py.h5d.create(file.id, b"bytes", h5py.h5t.STD_U8LE, space, settings)
    return dataset.get_offset() or 0  # nothing stored has no place


def write_at(path: Path, start: int, blocks: Iterable[bytes]) -> None:
    """Write blocks end to end into a file that is there."""
    with open(path, "r+b", buffering=0) as stream:
        stream.seek(start)
        for block in blocks:
            view = memoryview(block)
            while view:  # a nearly full disk takes a part first
                view = view[stream.write(view) :]


def _copy(source: Path, begin: int, target: Path, start: int, length: int) -> None:
    """Copy a range of bytes into another file that is there."""
    with open(source, "rb") as stream:
        stream.seek(begin)
        for done in range(0, length, COPY_BYTES):
            write_at(target, start + done, [stream.read(min(COPY_BYTES, length - done))])


class PackReader:
    """Read images of one pack at random; picklable, opened on first use in each process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = -1

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._pid = -1

    def open(self) -> PackReader:
        """Map the indexes and open the file; done once in each process."""
        with open_h5(self.path) as file:
            check_pack(file, self.path)
            mapped = MappedFile(self.path)
            self.encoding = str(file.attrs["encoding"])
            self.keys = mapped.array(file["key"])
            self.sizes = mapped.array(file["size"])
            self.sums = mapped.array(file["crc32"])
            self.offsets = mapped.array(file["offset"])
            self.start = file["bytes"].id.get_offset() or 0
            length = int(file["bytes"].shape[0])
        if int(self.offsets[-1]) != length or self.start + length > self.path.stat().st_size:
            raise UserError(f"{self.path}: the image pack is cut off; write the data-bin again")
        self.count = len(self.offsets) - 1
        # A memoryview gives Python integers several times faster than an ndarray does.
        self.offset_view = memoryview(self.offsets.view(np.int64).data)
        self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115 - lives with the reader
        self.descriptor = self._file.fileno()
        self._pid = os.getpid()
        return self

    def __len__(self) -> int:
        if self._pid != os.getpid():
            self.open()
        return self.count

    def raw(self, i: int) -> bytes:
        """Stored bytes of image ``i``; one ``pread``, no seek, no lock."""
        if self._pid != os.getpid():
            self.open()
        begin = self.offset_view[i]
        end = self.offset_view[i + 1]
        return os.pread(self.descriptor, end - begin, self.start + begin)

    def key(self, i: int) -> str:
        """What the image is called in its dataset (a path relative to the image folder)."""
        if self._pid != os.getpid():
            self.open()
        return bytes(self.keys[i]).decode()

    def size(self, i: int) -> tuple[int, int]:
        """(height, width) in pixels, as shown."""
        if self._pid != os.getpid():
            self.open()
        height, width = self.sizes[i]
        return int(height), int(width)

    def intact(self, i: int, data: bytes) -> bool:
        """Whether ``data`` are the bytes that were written for image ``i``."""
        if self._pid != os.getpid():
            self.open()
        return zlib.crc32(data) == int(self.sums[i])


def check_pack(file: h5py.File, path: Path) -> None:
    """UserError unless the file is a pack of the version that this code reads."""
    if file.attrs.get("format") != FORMAT:
        raise UserError(f"{path}: no image pack (its `format` attribute is not {FORMAT!r})")
    version = int(file.attrs.get("version", -1))
    if version != VERSION:
        raise UserError(
            f"{path}: image pack of version {version}, this code reads version {VERSION}; "
            "write the data-bin again"
        )
