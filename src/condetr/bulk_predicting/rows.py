"""The rows of a bulk run: one for each image, in Parquet. What is written depends on the rows alone."""

import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..detections import Detections
from ..extras import imported
from .images import Image


class Counts(NamedTuple):
    """The rows of a file, and how many of them have an error."""

    rows: int
    failed: int


@cache
def schema() -> Any:
    """The columns; `docs/bulk.md` describes them. An image that could not be read has an error, no size, no objects."""
    arrow = imported("pyarrow", "bulk")
    return arrow.schema(
        [
            arrow.field("image", arrow.string(), nullable=False),
            ("width", arrow.int32()),
            ("height", arrow.int32()),
            ("boxes", arrow.list_(arrow.list_(arrow.float32()))),
            ("scores", arrow.list_(arrow.float32())),
            ("labels", arrow.list_(arrow.int32())),
            ("category_ids", arrow.list_(arrow.int64())),
            ("names", arrow.list_(arrow.string())),
            ("error", arrow.string()),
        ]
    )


def table(images: Sequence[Image], results: Sequence[Detections | str]) -> Any:
    """A pyarrow table with a row for each image: its detections, or the reason why there are none."""
    arrow = imported("pyarrow", "bulk")
    found = [one if isinstance(one, Detections) else None for one in results]
    whole = [one for one in found if one is not None]
    ends = np.cumsum([0, *(0 if one is None else len(one) for one in found)]).astype(np.int32)
    boxes = _joined([one.boxes.reshape(-1) for one in whole], np.float32)

    def lists(values: Any) -> Any:
        return arrow.ListArray.from_arrays(ends, values)

    columns = [
        arrow.array([image.name for image in images], arrow.string()),
        arrow.array([None if one is None else one.size[0] for one in found], arrow.int32()),
        arrow.array([None if one is None else one.size[1] for one in found], arrow.int32()),
        lists(arrow.ListArray.from_arrays(np.arange(0, len(boxes) + 1, 4, dtype=np.int32), arrow.array(boxes))),
        lists(arrow.array(_joined([one.scores for one in whole], np.float32))),
        lists(arrow.array(_joined([one.labels for one in whole], np.int32))),
        lists(arrow.array([id for one in whole for id in one.category_ids], arrow.int64())),
        lists(arrow.array([_text(name) for one in whole for name in one.names], arrow.string())),
        arrow.array([_text(one) if isinstance(one, str) else None for one in results], arrow.string()),
    ]
    return arrow.Table.from_arrays(columns, schema=schema())


def encoded(rows: Any) -> bytes:
    """The content of the Parquet file with the rows of a table, in one row group."""
    sink = io.BytesIO()
    imported("pyarrow.parquet", "bulk").write_table(
        rows.combine_chunks(), sink, compression="zstd", row_group_size=max(1, len(rows))
    )
    return sink.getvalue()


def joined(files: Iterable[bytes]) -> bytes:
    """One file with the rows of several files, the same as if they had been encoded together."""
    parquet = imported("pyarrow.parquet", "bulk")
    tables = [parquet.read_table(io.BytesIO(content)) for content in files]
    return encoded(imported("pyarrow", "bulk").concat_tables(tables))


def counted(file: Path | bytes) -> Counts | None:
    """The counts in the footer of a file, without reading its rows. None for a file that is damaged or missing."""
    arrow, parquet = imported("pyarrow", "bulk"), imported("pyarrow.parquet", "bulk")
    try:
        footer = parquet.read_metadata(io.BytesIO(file) if isinstance(file, bytes) else file)
        groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
        failed = sum(group.num_rows - _error_column(group).statistics.null_count for group in groups)
    except (arrow.ArrowException, OSError, StopIteration, AttributeError):
        return None
    return Counts(footer.num_rows, failed)


def _error_column(group: Any) -> Any:
    columns = (group.column(i) for i in range(group.num_columns))
    return next(column for column in columns if column.path_in_schema == "error")


def _joined(arrays: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([*arrays, np.empty(0, kind)]).astype(kind)


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
