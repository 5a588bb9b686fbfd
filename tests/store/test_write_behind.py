from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modgap.core.errors import StoreError
from modgap.store.cache import Record, Store
from modgap.store.write_behind import WriteBehindStore

KEYS = [f"{n:064x}" for n in range(4)]


def record(value: int = 1) -> Record:
    return Record({"x": np.full(3, value, dtype=np.int64)})


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk that writes nothing before it is set."""
    opened, put = threading.Event(), Store.put

    def slow(self: Store, key: str, made: Record) -> None:
        assert opened.wait(30)
        put(self, key, made)

    monkeypatch.setattr(Store, "put", slow)
    return opened


def test_nobody_waits_for_the_disk(tmp_path: Path, gate: threading.Event) -> None:
    store = WriteBehindStore(tmp_path)
    store.put(KEYS[0], record())
    store.put(KEYS[0], record())
    assert store.has(KEYS[0])
    assert store.get(KEYS[0]).arrays["x"].tolist() == [1, 1, 1]
    assert not Store(tmp_path).has(KEYS[0])
    assert not store.flush(0.01)
    gate.set()
    assert store.flush(30)
    assert Store(tmp_path).get(KEYS[0]).arrays["x"].tolist() == [1, 1, 1]
    assert store.get(KEYS[0]) is not None
    assert not store.has(KEYS[1])
    assert store.get(KEYS[1]) is None


def test_who_comes_when_too_many_wait_writes_himself(tmp_path: Path, gate: threading.Event) -> None:
    store = WriteBehindStore(tmp_path, most=1)
    store.put(KEYS[0], record())
    other = threading.Thread(target=store.put, args=(KEYS[1], record()))
    other.start()
    other.join(0.05)
    assert other.is_alive()
    gate.set()
    other.join(30)
    assert Store(tmp_path).has(KEYS[1])
    assert store.clear() == 2


def test_what_cannot_be_written_is_told_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Store, key: str, made: Record) -> None:
        raise StoreError("no room") if key == KEYS[0] else OSError("gone")

    monkeypatch.setattr(Store, "put", full)
    store = WriteBehindStore(tmp_path)
    with caplog.at_level(logging.WARNING):
        for key in KEYS[:2]:
            store.put(key, record())
        assert store.flush(30)
    assert "no room" in caplog.text
    assert "gone" in caplog.text
    assert not store.has(KEYS[0])
    with pytest.raises(StoreError):
        store.put("../x", record())


def test_all_is_written_at_the_exit(tmp_path: Path) -> None:
    program = (
        "import sys, time, tests.store.test_write_behind as t\n"
        "put = t.Store.put\n"
        "t.Store.put = lambda *given: (time.sleep(0.2), put(*given))\n"
        "store = t.WriteBehindStore(sys.argv[1])\n"
        "for key in t.KEYS: store.put(key, t.record())\n"
    )
    done: Any = subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=120)
    assert done.returncode == 0
    assert Store(tmp_path).keys() == KEYS


def test_a_cache_that_cannot_be_written_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "cache"
    place.write_text("a file")
    store = WriteBehindStore(place)
    for key in KEYS[:3]:
        store.put(key, record())
        assert store.flush(30)
    assert store.problem.startswith(f"The cache folder {place} cannot be written: cache is there")
    assert "MODGAP_CACHE" in store.problem
    assert caplog.text.count("The result was not kept.") == 1, "not a line a result"
    place.unlink()
    store.put(KEYS[3], record())
    assert store.flush(30)
    assert store.problem == ""
    assert Store(place).get(KEYS[3]) is not None
