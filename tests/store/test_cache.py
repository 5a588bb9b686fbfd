"""The cache: round trips, damage, several processes, eviction, folders that cannot be written."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modgap.core.errors import StoreError
from modgap.store.cache import Record, Store, default_store

ROOT = Path(__file__).parents[2]
KEY = "ab" + "0" * 62
KEYS = [f"{n:02x}" * 32 for n in range(10)]


def record(size: int = 1000, seed: int = 0) -> Record:
    values = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    table = pd.DataFrame({"layer": np.arange(3), "x": [0.1, np.nan, 1 / 3], "s": ["<s>", "é", "$"]})
    return Record({"values": values}, {"layers": table}, {"note": "a <b> $", "n": 3, "none": None})


def same(a: Record, b: Record) -> None:
    assert a.meta == b.meta
    assert a.arrays.keys() == b.arrays.keys()
    assert a.tables.keys() == b.tables.keys()
    for name, array in a.arrays.items():
        assert b.arrays[name].dtype == array.dtype
        assert b.arrays[name].shape == array.shape
        assert b.arrays[name].tobytes() == array.tobytes()
    for name, table in a.tables.items():
        pd.testing.assert_frame_equal(b.tables[name], table, check_exact=True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
dtypes = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?", ">f4", ">i2"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    array=dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0))),
    meta=st.dictionaries(st.text(), json_values, max_size=4),
    column=st.lists(st.floats(), min_size=1, max_size=5),
)
def test_any_record_comes_back_exactly(array, meta, column):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        put = Record({"a": array, "t": array.T}, {"c": pd.DataFrame({"x": column})}, meta)
        store.put(KEY, put)
        got = store.get(KEY)
        assert got is not None
        assert got.meta == meta
        for name, expected in put.arrays.items():
            assert got.arrays[name].shape == expected.shape
            assert got.arrays[name].dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(got.arrays[name], expected)
        pd.testing.assert_frame_equal(got.tables["c"], put.tables["c"], check_exact=True)


def test_layout_and_missing(tmp_path):
    store = Store(tmp_path / "c")
    assert store.get(KEY) is None
    assert not store.has(KEY)
    assert store.keys() == []
    assert not (tmp_path / "c").exists(), "looking made a folder"
    store.put(KEY, record())
    folder = tmp_path / "c" / "ab" / KEY
    assert sorted(p.name for p in folder.iterdir()) == [
        "arrays.safetensors",
        "layers.parquet",
        "meta.json",
    ]
    assert store.has(KEY)
    assert store.keys() == [KEY]
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["ab"], "a temporary folder stayed"
    same(record(), store.get(KEY))
    assert len(pd.read_parquet(folder / "layers.parquet")) == 3, "any tool reads the table"
    assert "NaN" not in (folder / "meta.json").read_text()


@pytest.mark.parametrize(
    "key", ["", "ab", "../" + "a" * 61, "A" * 64, "g" * 64, "a" * 65, KEY + "\n", "/" * 64, None, 7]
)
def test_keys_are_checked(tmp_path, key):
    store = Store(tmp_path / "c")
    for call in (store.get, store.has, lambda k: store.put(k, record())):
        with pytest.raises(StoreError, match="64 hex"):
            call(key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "bad",
    [
        Record({"a": np.array(["text"])}),
        Record({"a": np.array([object()], dtype=object)}),
        Record({"../a": np.zeros(2)}),
        Record(meta={"x": float("nan")}),
        Record(meta={"x": object()}),
        Record(tables={"t": pd.DataFrame({"x": [object()]})}),
    ],
    ids=["strings", "objects", "name", "nan", "json", "column"],
)
def test_what_cannot_be_kept_is_said(tmp_path, bad):
    with pytest.raises(StoreError):
        Store(tmp_path).put(KEY, bad)
    assert list(tmp_path.iterdir()) == []


def flip(path: Path, where: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def rewrite(path: Path, **change: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


DAMAGE = {
    "bit in the arrays": lambda f: flip(f / "arrays.safetensors", 0.9),
    "bit in the header": lambda f: flip(f / "arrays.safetensors", 0.0),
    "bit in the table": lambda f: flip(f / "layers.parquet"),
    "bit in the meta": lambda f: flip(f / "meta.json", 0.97),
    "arrays cut": lambda f: cut(f / "arrays.safetensors"),
    "table cut": lambda f: cut(f / "layers.parquet"),
    "meta cut": lambda f: cut(f / "meta.json"),
    "meta empty": lambda f: (f / "meta.json").write_bytes(b""),
    "meta not JSON": lambda f: (f / "meta.json").write_bytes(b"\xff\xfe"),
    "meta a list": lambda f: (f / "meta.json").write_text("[1]"),
    "meta nested deep": lambda f: (f / "meta.json").write_text("[" * 100_000),
    "meta gone": lambda f: (f / "meta.json").unlink(),
    "meta a pipe": lambda f: ((f / "meta.json").unlink(), os.mkfifo(f / "meta.json")),
    "arrays gone": lambda f: (f / "arrays.safetensors").unlink(),
    "a folder for a file": lambda f: to_folder(f / "layers.parquet"),
    "other version": lambda f: rewrite(f / "meta.json", version=99),
    "other format": lambda f: rewrite(f / "meta.json", format="foreign"),
    "other files": lambda f: rewrite(f / "meta.json", files={"../../x": {"size": 1, "sha256": ""}}),
    "files not a dict": lambda f: rewrite(f / "meta.json", files=7),
    "a foreign folder": lambda f: (shutil.rmtree(f), f.mkdir(), (f / "x.txt").write_text("hi")),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_noticed_set_aside_and_mended(tmp_path, caplog, damage):
    store = Store(tmp_path)
    store.put(KEY, record())
    damage(store.path(KEY))
    with caplog.at_level(logging.WARNING):
        assert store.get(KEY) is None
    assert "set aside" in caplog.text
    assert str(tmp_path) not in caplog.text
    assert store.path(KEY).with_name(KEY + ".corrupt").is_dir()
    assert store.info().corrupt == 1
    store.put(KEY, record())
    same(record(), store.get(KEY))


def test_put_replaces_a_damaged_entry_and_keeps_an_intact_one(tmp_path):
    store = Store(tmp_path)
    store.put(KEY, record(seed=1))
    store.put(KEY, record(seed=2))
    same(record(seed=1), store.get(KEY))
    flip(store.path(KEY) / "arrays.safetensors", 0.9)
    store.put(KEY, record(seed=2))
    same(record(seed=2), store.get(KEY))


def test_an_entry_copied_to_another_key_is_foreign(tmp_path):
    store = Store(tmp_path)
    store.put(KEYS[1], record())
    other = store.path(KEYS[2])
    shutil.copytree(store.path(KEYS[1]), other)
    assert store.get(KEYS[2]) is None
    assert store.get(KEYS[1]) is not None


def test_a_file_in_the_place_of_an_entry(tmp_path):
    store = Store(tmp_path)
    store.path(KEY).parent.mkdir(parents=True)
    store.path(KEY).write_text("not a folder")
    assert store.get(KEY) is None
    store.put(KEY, record())
    same(record(), store.get(KEY))


def test_eviction_takes_the_least_recently_used(tmp_path):
    store = Store(tmp_path, max_bytes=10**9)
    for n, key in enumerate(KEYS[:4]):
        store.put(key, record(seed=n))
        os.utime(store.path(key), ns=(n * 10**9, n * 10**9))
    each = store.info().bytes // 4
    assert store.get(KEYS[0]) is not None  # used now: 1 is the oldest
    small = Store(tmp_path, max_bytes=int(each * 3.5))
    small.put(KEYS[4], record())
    assert small.keys() == [KEYS[0], KEYS[3], KEYS[4]]
    info = small.info()
    assert info.bytes <= info.limit
    assert info.entries == 3
    assert info.oldest.startswith("1970-01-01T00:00:03")
    assert info.newest > info.oldest


def test_eviction_keeps_what_was_just_written(tmp_path):
    store = Store(tmp_path, max_bytes=10)
    for key in KEYS[:3]:
        store.put(key, record())
        assert store.keys() == [key]
        assert store.get(key) is not None


def test_corrupt_leftovers_go_first(tmp_path):
    store = Store(tmp_path)
    store.put(KEYS[0], record())
    size = store.info().bytes
    flip(store.path(KEYS[0]) / "arrays.safetensors")
    assert store.get(KEYS[0]) is None
    store.put(KEYS[1], record())
    Store(tmp_path, max_bytes=int(2.5 * size)).put(KEYS[2], record())
    assert store.keys() == KEYS[1:3]
    assert store.info().corrupt == 0


def test_the_limit_holds_over_many_puts_of_two_writers(tmp_path):
    one, two = (Store(tmp_path, max_bytes=60_000) for _ in range(2))
    for n in range(30):
        (one if n % 2 else two).put(f"{n:064x}", record(500))
    assert one.info().bytes <= 60_000 * 1.2
    assert one.has(f"{29:064x}")


def test_clear_touches_only_its_own(tmp_path):
    store = Store(tmp_path)
    for key in KEYS[:2]:
        store.put(key, record())
    flip(store.path(KEYS[0]) / "meta.json")
    assert store.get(KEYS[0]) is None
    mine = [tmp_path / "README.md", tmp_path / "ab" / "x.txt", tmp_path / ".tmp-mine" / "y"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("keep me")
    (tmp_path / (".tmp-" + "0" * 32)).mkdir()
    assert store.clear() == 1
    assert store.info().entries == store.info().corrupt == store.info().bytes == 0
    assert all(path.read_text() == "keep me" for path in mine)
    assert not (tmp_path / (".tmp-" + "0" * 32)).exists()
    assert store.clear() == 0


def test_stale_unfinished_folders_are_swept(tmp_path):
    old, new = tmp_path / (".tmp-" + "0" * 32), tmp_path / (".tmp-" + "1" * 32)
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (1, 1))
    Store(tmp_path).put(KEY, record())
    assert not old.exists()
    assert new.exists(), "another process may still be writing it"


WRITER = """
import sys, numpy as np
from modgap.store.cache import Record, Store
store, key = Store(sys.argv[1]), sys.argv[2]
values = np.arange(int(sys.argv[3]), dtype=np.float32)
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[4])):
    got = store.get(key)
    assert got is None or np.array_equal(got.arrays["v"], values)
    store.put(key, Record({"v": values}, meta={"n": 1}))
    got = store.get(key)
    assert got is not None and np.array_equal(got.arrays["v"], values)
print("done", flush=True)
"""


def writer(root: Path, key: str, size: int, times: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), key, str(size), str(times)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_write_the_same_key(tmp_path):
    both = [writer(tmp_path, KEY, 20_000, 15) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        out, err = process.communicate(timeout=60)
        assert out == "done\n", err
        assert "set aside" not in err
    store = Store(tmp_path)
    assert store.get(KEY).arrays["v"].size == 20_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ab"]


def test_a_writer_killed_in_the_middle_leaves_nothing_half(tmp_path):
    size = 4_000_000
    caught = 0
    for n in range(8):
        key = KEYS[n]
        process = writer(tmp_path, key, size, 1)
        process.stdin.write("go\n")
        process.stdin.flush()
        end = time.monotonic() + 20
        while time.monotonic() < end and process.poll() is None:
            if list(tmp_path.glob(".tmp-*")):
                time.sleep(0.002 * n)
                break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        caught += bool(list(tmp_path.glob(".tmp-*/*")))
        got = Store(tmp_path).get(key)
        assert got is None or got.arrays["v"].size == size
        assert Store(tmp_path).info().corrupt == 0
    assert caught, "no kill fell into a write: the test proves nothing"
    Store(tmp_path).clear()
    assert not list(tmp_path.glob(".tmp-*"))


def test_disk_full_is_said_and_leaves_the_old_entries(tmp_path):
    store = Store(tmp_path)
    store.put(KEYS[0], record())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(StoreError, match="modgap cache clear"):
            store.put(KEYS[1], record(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.keys() == [KEYS[0]]
    assert not list(tmp_path.glob(".tmp-*"))
    same(record(), store.get(KEYS[0]))


@pytest.fixture
def unprivileged():
    """Files made before stay the owner's; root loses the right to write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.fixture
def read_only(request):
    folder = Path(tempfile.mkdtemp())
    Store(folder).put(KEY, record())
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_cache_is_read_but_not_written(read_only, unprivileged):
    store = Store(read_only)
    same(record(), store.get(KEY))
    with pytest.raises(StoreError, match="MODGAP_CACHE"):
        store.put(KEYS[1], record())
    with pytest.raises(StoreError, match="cannot be deleted"):
        store.clear()
    same(record(), store.get(KEY))


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "c").write_text("a file")
    store = Store(tmp_path / "c")
    assert store.get(KEY) is None
    assert store.info().entries == 0
    with pytest.raises(StoreError, match="MODGAP_CACHE"):
        store.put(KEY, record())


def test_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODGAP_CACHE", raising=False)
    assert default_store().root == Path("cache")
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "elsewhere"))
    assert default_store().root == tmp_path / "elsewhere"
    assert default_store() is default_store()
    with pytest.raises(StoreError, match="positive"):
        Store(max_bytes=0)
