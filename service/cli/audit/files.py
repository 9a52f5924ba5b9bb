"""The files of exports and archives: events, one (JSON) a line, compressed (zstd) in an archive; beside
them the checkpoints, led by the number of the one that the events follow, where older ones are archived."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from service.cli.telnyx.calls import fail

if TYPE_CHECKING:
    from service.domain.chain import Checkpoint

COMPRESSED = ".zst"


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands in the file of checkpoints. ``behind``: the number of the one that the events follow."""

    checkpoints: "tuple[Checkpoint, ...]" = ()
    behind: int | None = None


def checkpoints_of(export: Path) -> Path:
    """Where an export, or an archive, has its checkpoints."""
    return export.with_name(f"{export.name}.checkpoints")


def read_beside(path: Path) -> Beside:
    from service.domain.chain import read_checkpoint

    behind: int | None = None
    found: list[Checkpoint] = []
    for line in read_lines(path):
        if not found and line.keys() == {"behind"} and isinstance(line["behind"], int):
            behind = line["behind"]
            continue
        try:
            found.append(read_checkpoint(line))
        except ValueError as error:
            fail(f"{path}: {error}")
    return Beside(tuple(found), behind)


def write_beside(path: Path, checkpoints: "Iterable[Checkpoint]", behind: int | None) -> None:
    """Add to the file; ``behind`` is its first line."""
    with path.open("a", encoding="utf-8") as out:
        if behind is not None and out.tell() == 0:
            out.write(f'{{"behind":{behind}}}\n')
        for one in checkpoints:
            out.write(json.dumps(one.to_members(), separators=(",", ":")) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The file's documents, one at a time."""
    import zstandard

    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):
                found = json.loads(line)
                if not isinstance(found, dict):
                    fail(f"{path}: line {number} is no JSON object")
                yield found
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except zstandard.ZstdError:
        fail(f"{path}: is no zstd file, or its end is missing")
    except ValueError:
        fail(f"{path}: is not JSON, a document a line")


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    import zstandard

    if path.suffix == COMPRESSED:
        with zstandard.open(path, "rt", encoding="utf-8") as lines:
            yield lines
    else:
        with path.open(encoding="utf-8") as lines:
            yield lines
