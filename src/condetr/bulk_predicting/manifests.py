"""Manifests: Parquet files that name images in a column and are read in parts."""

from collections.abc import Iterator
from typing import Any

from ..errors import CondetrError, first_line
from ..extras import imported

COLUMNS = ("path", "image")  # the first of these that the file has
ROWS = 4096  # in memory at a time


def is_manifest(name: str) -> bool:
    return name.lower().endswith(".parquet")


def read_manifest(file: Any, name: str) -> Iterator[str | None]:
    """The images in the rows of an open file or of a path, None for a row without one. `name` is for messages.

    Raises CondetrError for a file that is not Parquet, or that has no column of text.
    """
    arrow, parquet = imported("pyarrow", "bulk"), imported("pyarrow.parquet", "bulk")
    try:
        opened = parquet.ParquetFile(file, buffer_size=1 << 20)
        schema = opened.schema_arrow
        column = next((column for column in COLUMNS if column in schema.names), None)
        if column is None:
            there = ", ".join(schema.names[:10])
            raise CondetrError(f"{name}: no column path or image, which would name the images. There are: {there}")
        if schema.names.count(column) > 1:
            raise CondetrError(f"{name}: has several columns {column}. Rename all but the one that names the images")
        kind = schema.field(column).type
        text = kind.value_type if arrow.types.is_dictionary(kind) else kind
        if not (arrow.types.is_string(text) or arrow.types.is_large_string(text) or arrow.types.is_string_view(text)):
            raise CondetrError(f"{name}: the column {column} must hold text (paths or URLs), not {kind}")
        for batch in opened.iter_batches(ROWS, columns=[column]):
            yield from batch.column(0).cast(arrow.string()).to_pylist()
    except UnicodeDecodeError as error:
        raise CondetrError(
            f"{name}: the column {column} holds text that is not UTF-8 ({error.object[:100]!r})"
        ) from None
    except arrow.ArrowException as error:
        raise CondetrError(f"{name}: cannot be read as Parquet ({first_line(error)})") from None
    except OSError as error:
        raise CondetrError(f"{name}: cannot be read ({first_line(error)})") from None
