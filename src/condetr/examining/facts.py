"""What is known about an image file once it has been inspected."""

from dataclasses import dataclass

OUTSIDE = "outside"  # the problem of an image outside the data set's folder, which is not opened


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """`upright` and `stored` are (width, height) after and before EXIF orientation (1 to 8). `problem` is empty for a
    readable image, "missing", or the reason why it cannot be read; the other fields then mean nothing."""

    upright: tuple[int, int]
    stored: tuple[int, int]
    orientation: int
    kind: str  # Pillow's name of the file format
    digest: str
    problem: str

    @classmethod
    def of_problem(cls, problem: str) -> "ImageFacts":
        return cls((0, 0), (0, 0), 1, "", "", problem)
