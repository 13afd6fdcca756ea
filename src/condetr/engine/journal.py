"""The log of a run as JSON lines, append-only, and its epochs as CSV for spreadsheets."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from ..errors import CondetrError
from ..files import write_text


class Journal:
    """`journal.jsonl`: one object a line, `kind` first. Each state records the `length` in bytes, so that a resumed run
    truncates the lines that it will write again."""

    def __init__(self, file: Path, length: int) -> None:
        """Raises CondetrError when the file is shorter than `length`: lines that the state refers to are missing."""
        self.file = file
        size = file.stat().st_size if file.exists() else 0
        if size < length:
            raise CondetrError(f"{file}: {size} bytes, but the run had written {length}. Restore the complete file")
        if size > length:
            os.truncate(file, length)
        self.length = length

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Raises CondetrError when the disk is full; an incomplete line is removed when the run is resumed."""
        line = (json.dumps({"kind": kind, **values}) + "\n").encode()
        try:
            with self.file.open("ab") as file:
                file.write(line)
        except OSError as error:
            raise CondetrError(
                f"{self.file}: cannot be written ({error.strerror}). The last saved state is intact"
            ) from None
        self.length += len(line)

    def sync(self) -> None:
        """Flush the file to the disk, before a state refers to its length."""
        if self.file.exists():
            with self.file.open("rb") as file:
                os.fsync(file.fileno())

    def read(self, kind: str) -> list[dict[str, Any]]:
        """All lines of one kind."""
        if not self.file.exists():
            return []
        lines = (json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line["kind"] == kind]


def write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows as CSV. The columns are the keys of all rows; a row without a key leaves its cell empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "kind"))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())
