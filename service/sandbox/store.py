"""What outlives the process: one SQLite file in the data directory.

Changes gather in memory and are written in one transaction before an answer leaves, or shortly after
they happened where nobody waits for an answer. SQLite's write-ahead log keeps the file whole through
``kill -9``, and what was answered is then there. It is not synced to the disk: a power cut may cost the
last changes, which a sandbox can bear, and no request waits for a disk.

Records and their ids are sealed under a key beside the file: no number and no code that was tried out can
be found in a data directory that is searched, copied into a report or left in a backup.
"""

import asyncio
import logging
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TypeVar

from nacl.secret import SecretBox
from pydantic import TypeAdapter, ValidationError

from service.sandbox.bounded import MOST

log = logging.getLogger(__name__)

_COMMIT_AFTER = 0.05
_FORMAT = 1
_PUT = "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
_DROP = "DELETE FROM records WHERE shelf = ? AND id = ?"

T = TypeVar("T")


class StoreError(ValueError):
    """The data directory cannot be used; the message says why and what to do."""


class Store:
    """Records by shelf and id. Without a directory it keeps nothing."""

    def __init__(self, directory: Path | None = None) -> None:
        """Raises:
        StoreError: another sandbox has the directory, or it cannot be written.
        """
        self._db = None if directory is None else _open(directory)
        self._key = b"" if directory is None else _key(directory)
        self._changes: dict[tuple[str, str], Callable[[], bytes] | None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, shelf: str, id_: str, body: Callable[[], bytes] | None) -> None:
        """A record is new or changed, or gone where ``body`` is ``None``; it is called at the commit, so
        that a record that changes often is written once."""
        if self._db is None:
            return
        self._changes[shelf, id_] = body
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_COMMIT_AFTER, self.commit)

    def commit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._db is None or not self._changes:
            return
        changes, self._changes = self._changes, {}
        self._db.execute("BEGIN")
        for (shelf, id_), body in changes.items():
            row = (shelf, self._digest(id_))
            if body is None:
                self._db.execute(_DROP, row)
            else:
                self._db.execute(_PUT, (*row, self._seal(id_, body())))
        self._db.execute("COMMIT")

    def read(self, shelf: str) -> Iterator[tuple[str, bytes]]:
        """In the order in which they came."""
        if self._db is None:
            return iter(())
        query = "SELECT body FROM records WHERE shelf = ? ORDER BY rowid"
        return (self._unseal(row) for (row,) in self._db.execute(query, (shelf,)))

    def _digest(self, id_: str) -> bytes:
        return blake2b(id_.encode(), digest_size=16, key=self._key).digest()

    def _seal(self, id_: str, body: bytes) -> bytes:
        return bytes(SecretBox(self._key).encrypt(id_.encode() + b"\0" + body))

    def _unseal(self, row: bytes) -> tuple[str, bytes]:
        id_, _, body = SecretBox(self._key).decrypt(row).partition(b"\0")
        return id_.decode(), body

    def close(self) -> None:
        if self._db is not None:
            self.commit()
            self._db.close()
            self._db = None


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


class Shelf(Generic[T]):
    """The records of one kind, oldest first: a dict that outlives the process and forgets its oldest
    entry rather than grow beyond ``most``."""

    def __init__(self, store: Store, name: str, kind: type[T], most: int = MOST) -> None:
        self._store = store
        self._name = name
        self._most = most
        self._adapter: TypeAdapter[T] = _adapter(kind)  # type: ignore[arg-type]
        self._all: OrderedDict[str, T] = OrderedDict()
        for id_, body in store.read(name):
            try:
                self._all[id_] = self._adapter.validate_json(body)
            except ValidationError:
                log.warning("a record of another version was left out: %s %s", name, id_)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._all

    def get(self, id_: str) -> T | None:
        return self._all.get(id_)

    def values(self) -> Any:
        return self._all.values()

    def put(self, id_: str, value: T) -> T | None:
        """Add or save a record; gives the one that was forgotten for it."""
        self._all[id_] = value
        self._store.note(self._name, id_, lambda: self._adapter.dump_json(value))
        if len(self._all) <= self._most:
            return None
        oldest, gone = self._all.popitem(last=False)
        self._store.note(self._name, oldest, None)
        return gone

    def pop(self, id_: str) -> T | None:
        gone = self._all.pop(id_, None)
        if gone is not None:
            self._store.note(self._name, id_, None)
        return gone


def _open(directory: Path) -> sqlite3.Connection:
    file = directory / "sandbox.sqlite3"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _connect(file)
    except OSError as error:
        raise StoreError(
            f"{directory} cannot be written: {error.strerror}; choose with --data"
        ) from None
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"{directory} cannot be used ({error}): end the other sandbox, or choose with --data"
        ) from None
    except sqlite3.DatabaseError:
        broken = file.with_suffix(".broken")
        log.warning("%s is damaged: it is kept as %s, and a new one begun", file, broken)
        for suffix in ("-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        file.replace(broken)
        return _connect(file)


def _key(directory: Path) -> bytes:
    file = directory / "sandbox.key"
    if not file.exists() or file.stat().st_size != SecretBox.KEY_SIZE:
        file.touch(mode=0o600)
        file.write_bytes(secrets.token_bytes(SecretBox.KEY_SIZE))
    return file.read_bytes()


def _connect(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, timeout=1)
    try:
        file.chmod(0o600)
        # Exclusive: a second sandbox on the same file is refused at its start.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != _FORMAT:
            db.execute("DROP TABLE IF EXISTS records")
            db.execute("CREATE TABLE records (shelf TEXT, id BLOB, body BLOB, UNIQUE (shelf, id))")
            db.execute(f"PRAGMA user_version = {_FORMAT}")
    except BaseException:
        db.close()
        raise
    return db
