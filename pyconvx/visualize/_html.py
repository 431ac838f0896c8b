"""A figure as one HTML document: pictures inside it, no script, nothing loaded. Names of files are escaped."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from pyconvx.visualize._tiles import Tile

if TYPE_CHECKING:
    from pyconvx.visualize.layout import Figure, LayerView, UnitView

# Nothing in the page may load or run anything, whatever a file is called.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; color: #1e1e1e; background: #fff; margin: 2em; }
h1 { font-size: 1.3em; } h2 { font-size: 1.1em; margin: 1.6em 0 .2em; }
p { margin: .2em 0; color: #555; }
.units { display: flex; flex-wrap: wrap; gap: 1.2em; margin-top: .6em; }
figure { margin: 0; } small { color: #888; } figure img { display: block; margin-bottom: 4px; }
figcaption { font-weight: 600; } td, th { padding: 0 .7em 0 0; text-align: left; font-weight: normal; }
td { font-variant-numeric: tabular-nums; } details { max-width: 22em; } .dead { color: #b00; }
""".strip()


def document(figure: Figure) -> str:
    """Return the document."""
    body = [f"<h1>{_text(figure.title)}</h1>", *(f"<p>{_text(note)}</p>" for note in figure.notes)]
    body += [_section(layer) for layer in figure.layers]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{_text(figure.title)}</title><style>{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def _section(layer: LayerView) -> str:
    facts = layer.facts
    field = "x".join("all" if extent is None else str(extent) for extent in facts["field"]) or "all"
    dead = f"{facts['dead_units']} of {facts['units_seen']} units were never above zero"
    units = "\n".join(_unit(view) for view in layer.units)
    return (
        f"<h2>{_text(layer.layer)}</h2>\n<p>Receptive field {field}; {dead}, at {facts['positions']} positions.</p>\n"
        f'<div class="units">\n{units}\n</div>'
    )


def _unit(view: UnitView) -> str:
    statistics = view.statistics
    rows = [
        ("mean", f"{statistics['mean']:.4g}"),
        ("mean of maxima", f"{statistics['mean_maximum']:.4g}"),
        ("zeros", f"{statistics['zeros']:.1%}"),
        *((f"class {name}", f"{value:.4g}") for name, value in view.classes),
    ]
    table = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows)
    dead = ' <span class="dead">dead</span>' if statistics["dead"] else ""
    images = "".join(
        f'<small>{_text(title)}</small><img src="{_data(tile)}" alt="{_text(title)} of unit {view.unit}">'
        for title, tile in view.grids.items()
    )
    patches = "".join(
        f"<li>{patch.value:.4g} {_text(patch.name)} at {_text(str(patch.position))}</li>" for patch in view.patches
    )
    return (
        f"<figure><figcaption>unit {view.unit}{dead}</figcaption>{images}<table>{table}</table>"
        f"<details><summary>patches</summary><ol>{patches}</ol></details></figure>"
    )


def _text(text: str) -> str:
    """Escape; a file's name that is no valid text is shown with question marks."""
    return escape(text.encode("utf-8", "replace").decode("utf-8"), quote=True)


def _data(tile: Tile) -> str:
    stream = io.BytesIO()
    Image.fromarray(tile).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
