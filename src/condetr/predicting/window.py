"""A window that shows frames with their boxes as they are predicted."""

from typing import Any

from PIL import Image

from ..detections import Detections, draw
from ..errors import CondetrError
from .sources import Opened
from .writers import Writer

FILL = 0.9  # of the screen, at most


class Window(Writer):
    """It uses Tk, which comes with Python, because the OpenCV of the extra `video` has no windows.

    `closed` is True once the user has closed it, or pressed Escape or q. Raises CondetrError without a display.
    """

    def __init__(self) -> None:
        try:
            import tkinter
        except ImportError:
            raise CondetrError("`show`: needs tkinter, for example from the package python3-tk") from None
        try:
            self._root: Any = tkinter.Tk()
        except tkinter.TclError as error:
            raise CondetrError(f"`show`: there is no display to open a window on ({error}). Leave it out") from None
        self._photo = tkinter.PhotoImage
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._shown: Any = None  # without this reference, Tk shows nothing
        self.closed = False
        self._root.title("condetr")
        self._root.protocol("WM_DELETE_WINDOW", self.close)
        for key in ("<Escape>", "q"):
            self._root.bind(key, self.close)

    def write(self, image: Opened, detections: Detections) -> None:
        if self.closed:
            return
        frame = Image.fromarray(draw(image.read(), detections))
        frame.thumbnail((int(FILL * self._root.winfo_screenwidth()), int(FILL * self._root.winfo_screenheight())))
        content = b"P6 %d %d 255\n" % frame.size + frame.tobytes()
        self._shown = self._photo(data=content, format="PPM", master=self._root)
        self._label.configure(image=self._shown)
        self._root.update()

    def close(self, *_: object) -> None:
        if not self.closed:
            self.closed = True
            self._root.destroy()
