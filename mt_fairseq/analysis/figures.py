"""The look of all figures: printable in black and white, a caption inside, PNG and SVG and CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mt_fairseq.data.files import atomic_file, write_text
from mt_fairseq.errors import UserError

PANEL = (3.4, 2.5)
"""Inches, (width, height): a column of a two-column paper."""
AROUND = 0.9
"""Inches of height for the legend and the caption."""

# Lightness falls from colour to colour (and so in print); dash and marker tell lines apart alone.
COLOURS = ("#000000", "#7a3b00", "#0072b2", "#c1440e", "#009e73", "#b070a0", "#d98f00", "#6a9fd8")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (9, 2)),
    (0, (2, 2)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")

STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.fontsize": 7,
    "legend.framealpha": 0.9,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text: it can be searched and edited
    "svg.hashsalt": "mt_fairseq",  # equal figures are equal bytes
}


def line_style(number: int) -> dict[str, Any]:
    """Colour, dash and marker of the line ``number``; 504 pass before a combination returns."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markerfacecolor": "white" if number % 2 else COLOURS[number % len(COLOURS)],
    }


@contextmanager
def drawing() -> Iterator[None]:
    """The project's style, inside only: a notebook's own settings stay."""
    with matplotlib.rc_context(STYLE):
        yield


def new_figure(rows: int, columns: int, panel: tuple[float, float] = PANEL, **options: Any) -> Any:
    """A figure with rows x columns panels -> (figure, array of axes (rows, columns)).

    It belongs to no window, so that nothing keeps it alive.
    """
    size = (columns * panel[0], rows * panel[1] + AROUND)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def join_captions(parts: Sequence[str]) -> str:
    """Sentences of a caption in one line."""
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


def add_caption(figure: Figure, caption: str) -> None:
    """Write the caption under the panels, wrapped to the figure's width."""
    characters = max(30, int(figure.get_figwidth() * 19))
    figure.supxlabel(
        "\n".join(textwrap.wrap(caption, characters, break_on_hyphens=False)),
        fontsize=7,
        color="0.25",
        multialignment="left",
    )
    figure.set_label(caption)


def add_legend(figure: Figure, title: str) -> None:
    """One legend for all panels, above them; samples long enough to show the dashes."""
    lines: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            lines.setdefault(label, handle)
    sample, character = 0.75, 0.06  # inches
    room = max(1, int(figure.get_figwidth() / (sample + character * max(map(len, lines)))))
    rows = -(-len(lines) // room)
    figure.legend(
        lines.values(),
        lines.keys(),
        title=title,
        title_fontsize=7,
        handlelength=3.6,
        ncols=-(-len(lines) // rows),
        loc="outside upper center",
    )


def picture_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as a PNG or SVG file with its caption as title; no date, so equal bytes."""
    stream = io.BytesIO()
    title = str(figure.get_label())
    metadata: dict[str, Any] = {"Title": title}
    if kind == "svg":
        metadata |= {"Date": None}
    with drawing():
        figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()


class Output:
    """The files NAME.png, NAME.svg and NAME.csv of each figure, in one folder.

    Args:
        folder: is made with the first file.
        names: of all figures to come.
        overwrite: replace files that are there.

    Raises:
        UserError: files that are there already.
    """

    def __init__(self, folder: Path, names: Sequence[str], overwrite: bool) -> None:
        self.folder = folder
        present = [name for name in names if (folder / f"{name}.csv").exists()]
        if present and not overwrite:
            raise UserError(
                f"--out {folder}: holds {present[0]}.csv already; name another folder or add "
                "--overwrite"
            )

    def save_figure(self, name: str, figure: Figure) -> None:
        """Write NAME.png and NAME.svg."""
        for kind in ("png", "svg"):
            with atomic_file(self.folder / f"{name}.{kind}") as stream:
                stream.write(picture_bytes(figure, kind))

    def save_table(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        """Write NAME.csv with the keys of the first row as its head."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.folder / f"{name}.csv", text.getvalue())

    def describe(self, names: Sequence[str]) -> str:
        """One line that says what was written."""
        files = ", ".join(f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv"))
        return f"written to {self.folder}: {files}"
