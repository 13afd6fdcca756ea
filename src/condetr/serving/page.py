"""The page of a server: a few files of this package, which load nothing from anywhere else."""

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..explaining.page_image import colormap

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
OWN = ("page.css", "page.js", "page_attention.js", "page_camera.js", "page_controls.js", "page_filter.js",
       "page_images.js", "page_server.js", "page_icon.svg")  # fmt: skip
SHARED = {  # by their names here: of the reports and of `condetr explain`
    "report.css": ("reports", "page.css"),
    "report.js": ("reports", "page.js"),
    "overlay.css": ("reports", "overlay.css"),
    "overlay.js": ("reports", "overlay.js"),
    "explain.css": ("explaining", "page.css"),
    "canvas.js": ("explaining", "canvas.js"),
}
COLORS = "colormap"


def page_routes() -> list[Route]:
    """The files are read once. They hold nothing of the models: who has no token may see them."""
    files = {f"/page/{name}": _file("serving", name) for name in OWN}
    files |= {f"/page/{name}": _file(*where) for name, where in SHARED.items()}
    files["/"] = _file("serving", "page.html")
    files[f"/page/{COLORS}"] = (colormap(), "application/octet-stream")
    return [_route(path, content, kind) for path, (content, kind) in files.items()]


def _file(room: str, name: str) -> tuple[bytes, str]:
    content = (resources.files(f"condetr.{room}") / name).read_bytes()
    return content, TYPES[name.rpartition(".")[2]]


def _route(path: str, content: bytes, kind: str) -> Route:
    async def send(request: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=kind)

    return Route(path, send)
