"""What happened in a run: JSON lines that only grow, and a CSV of its epochs for spreadsheets."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from ..errors import CondetrError
from ..files import write_text


class Journal:
    """`journal.jsonl`: one object a line, `kind` first. `length` in bytes is what a state remembers, so that a resumed
    run cuts off what it is about to write again."""

    def __init__(self, file: Path, length: int) -> None:
        """Raises CondetrError when the file is shorter than `length`: lines that a state counts on are gone."""
        self.file = file
        there = file.stat().st_size if file.exists() else 0
        if there < length:
            raise CondetrError(f"{file}: {there} bytes, but the run had written {length}. Put the whole file back")
        if there > length:
            os.truncate(file, length)
        self.length = length

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Raises CondetrError when the disk is full; a line cut short is cut off when the run is resumed."""
        line = (json.dumps({"kind": kind, **values}) + "\n").encode()
        try:
            with self.file.open("ab") as file:
                file.write(line)
        except OSError as error:
            raise CondetrError(f"{self.file}: cannot be written ({error.strerror}). The last state is intact") from None
        self.length += len(line)

    def sync(self) -> None:
        """Have what was written on the disk itself, before a state counts on it."""
        if self.file.exists():
            with self.file.open("rb") as file:
                os.fsync(file.fileno())

    def read(self, kind: str) -> list[dict[str, Any]]:
        """All lines of a kind."""
        if not self.file.exists():
            return []
        lines = (json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line["kind"] == kind]


def write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    """The rows with the keys of all as columns, empty where a row lacks one."""
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "kind"))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())
