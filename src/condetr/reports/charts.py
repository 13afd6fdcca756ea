"""Charts of a report: matplotlib figures in one style, embedded in the page as SVG."""

import base64
import io
import re
import warnings

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#2f6fde", "#e08a1e", "#2a9d6f", "#d1495b", "#7a5cc7", "#808894"
LARGEST_VECTOR = 1_500_000  # characters of SVG; a larger figure is stored as a PNG instead


def chart(columns: int = 1, size: tuple[float, float] = (8.0, 3.6)) -> tuple[Figure, list[Axes]]:
    """A figure with plots side by side in the style of the reports, without pyplot's global state. `size` in inches."""
    figure = Figure(figsize=size, layout="constrained")
    plots = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    for plot in plots:
        plot.spines[["top", "right"]].set_visible(False)
        plot.spines[["left", "bottom"]].set_color(GREY)
        plot.tick_params(color=GREY, labelsize=9)
        plot.grid(color=GREY, alpha=0.25, linewidth=0.6)
        plot.set_axisbelow(True)
    return figure, plots


def markup(figure: Figure) -> str:
    """The figure as inline SVG, or as a PNG image where the SVG is larger than LARGEST_VECTOR.

    Backgrounds become transparent, and pure black becomes the page's text color, which is light in dark mode (use
    "#111111" for a black that stays).
    """
    _set_literal(figure)
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
        if legend := axes.get_legend():
            legend.get_frame().set_alpha(0)
            legend.get_frame().set_edgecolor("none")
    stream = io.StringIO()
    # Text remains text, which is small and searchable, and the ids depend on the content alone.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "condetr"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser uses its own fonts
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = re.sub("<!--.*?-->", "", stream.getvalue(), flags=re.DOTALL)
    if len(svg) > LARGEST_VECTOR:
        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=160, facecolor="white")
        return f'<img alt="" src="data:image/png;base64,{base64.b64encode(pixels.getvalue()).decode("ascii")}">'
    svg = svg[svg.index("<svg") :].replace("#000000", "currentColor").replace("\n", " ")
    return re.sub(r' width="[\d.]+pt"', "", re.sub(r' height="[\d.]+pt"', "", svg, count=1), count=1)


def _set_literal(figure: Figure) -> None:
    """Show dollar signs of class names as they are. Only ticks that matplotlib formats may contain mathematics."""
    formatted = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if not isinstance(axis.get_major_formatter(), FixedFormatter)
        for label in axis.get_ticklabels(which="both")
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in formatted:
            text.set_parse_math(False)
