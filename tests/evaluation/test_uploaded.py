"""Uploads laid down as data sets: what is read is what came, and nothing lies elsewhere."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from modgap.core.errors import SettingsError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.manifest import manifest_questions
from modgap.evaluation.data.uploaded import CLIPS, MEGABYTES, UploadLimits, lay_down
from tests.tiny import make_clip

HEAD = "audio,transcript,reference,choices,voice,id\n"
SOUNDS = {f"s{n}.wav": make_clip(0.5 + 0.1 * n, seed=n).wav_bytes() for n in range(3)}


def manifest(*names: str) -> bytes:
    rows = [f'{name},"Is it {n}, or not?",{n},,robot,q{n}' for n, name in enumerate(names)]
    return (HEAD + "\n".join(rows) + "\n").encode()


def zipped(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in entries:
            file.writestr(name, data)
    return out.getvalue()


LOOSE = [("questions.csv", manifest(*SOUNDS)), *SOUNDS.items()]


def stored(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize("kind", ["loose", "zip", "zip with a folder"])
def test_the_questions_are_those_of_the_manifest(kind: str, tmp_path: Path) -> None:
    inside = "set/" if kind.endswith("folder") else ""
    files = LOOSE if kind == "loose" else [("x.zip", zipped(*((inside + n, d) for n, d in LOOSE)))]
    own = tmp_path / "own"
    own.mkdir()
    for name, data in LOOSE:
        (own / name).write_bytes(data)
    laid = lay_down(files, tmp_path / "uploads")
    assert (laid.name, laid.clips, laid.unused) == ("questions", 3, 0)
    expected = list(manifest_questions(own / "questions.csv"))
    found = read_questions(str(laid.manifest))
    for one, other in zip(found, expected, strict=True):
        said = {k: v for k, v in vars(one).items() if k != "load"}
        assert said == {k: v for k, v in vars(other).items() if k != "load"}
        assert one.load().sha256 == other.load().sha256


def test_no_name_of_an_upload_is_a_name_here(tmp_path: Path) -> None:
    outside = tmp_path / "secret.wav"
    outside.write_bytes(SOUNDS["s0.wav"])
    hostile = ["../../../evil.wav", "/tmp/evil.wav", "C:\\evil.wav", "a\u202egnp.wav"]
    rows = [{"audio": n, "transcript": "a", "reference": "b"} for n in hostile]
    table = "\n".join(map(json.dumps, rows)).encode()
    data = zipped(("../m.jsonl", table), *((n, SOUNDS["s0.wav"]) for n in hostile))
    root = tmp_path / "deep" / "uploads"
    laid = lay_down([("x.zip", data)], root)
    folder = laid.manifest.parent.name
    assert stored(tmp_path) == sorted(
        [
            *(f"deep/uploads/{folder}/audio/{n:05d}.wav" for n in range(4)),
            f"deep/uploads/{folder}/manifest.jsonl",
            "secret.wav",
        ]
    )
    for path in (str(outside), "../../../secret.wav", "/etc/passwd", "s0.wav/../../secret.wav"):
        table = json.dumps({"audio": path, "transcript": "a", "reference": "b"}).encode()
        with pytest.raises(SettingsError, match="not among the files"):
            lay_down([("m.jsonl", table), ("s0.wav", SOUNDS["s0.wav"])], root)
    row = {"audio": {"bytes": "x", "path": str(outside)}, "transcript": "a", "reference": "b"}
    with pytest.raises(SettingsError, match="not among the files"):
        lay_down([("m.jsonl", json.dumps(row).encode())], root)


def test_the_same_upload_is_laid_down_once(tmp_path: Path) -> None:
    first = lay_down(LOOSE, tmp_path)
    before = stored(tmp_path)
    assert lay_down(LOOSE, tmp_path) == first
    assert stored(tmp_path) == before
    assert lay_down([*LOOSE, ("more.wav", SOUNDS["s0.wav"])], tmp_path).unused == 1


def test_sounds_that_no_row_names_are_not_kept(tmp_path: Path) -> None:
    laid = lay_down([("m.csv", manifest("s1.wav", "s1.wav")), *SOUNDS.items()], tmp_path)
    assert laid.unused == 2
    assert len(list(laid.manifest.parent.glob("audio/*"))) == 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "Choose files first"),
        ([("a.wav", b"x")], "no manifest among the files"),
        ([("a.csv", b"x"), ("b.csv", b"y")], "2 tables among the files"),
        ([("a.zip", zipped()), ("b.csv", b"y")], "one zip by itself"),
        ([("m.csv", manifest("s0.wav")), ("s0.wav", b"x"), ("s0.wav", b"y")], "Two files"),
        ([("m.csv", b"audio,words\ns0.wav,a\n"), *SOUNDS.items()], "m.csv has no column"),
        ([("m.csv", b"audio,transcript\ns0.wav,a\n"), *SOUNDS.items()], "Row 1 of m.csv has no"),
        ([("m.csv", HEAD.encode()), *SOUNDS.items()], "m.csv has no rows"),
        ([("m.jsonl", b"[1]\n"), *SOUNDS.items()], "m.jsonl cannot be read"),
        ([("m.jsonl", b"{" * 100_000), *SOUNDS.items()], "m.jsonl cannot be read"),
        ([("m.csv", b"audio,transcript\ns0.wav," + b"a" * 20_000), *SOUNDS.items()], "16 kB"),
        ([("m.csv", manifest("")), *SOUNDS.items()], "Row 1 of m.csv has no audio"),
        ([("x.zip", zipped(("m.csv", manifest("s.wav")), ("a/s.wav", b"1"), ("b/s.wav", b"2")))],
         "may be a/s.wav or b/s.wav"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence_and_leaves_nothing(
    files: list[tuple[str, bytes]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=said) as problem:
        lay_down(files, tmp_path / "uploads")
    assert str(tmp_path) not in str(problem.value)
    assert stored(tmp_path) == []


def test_the_operator_sets_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert UploadLimits.of_operator() == UploadLimits(200, 200)
    monkeypatch.setenv(CLIPS, "2")
    monkeypatch.setenv(MEGABYTES, "many")
    assert UploadLimits.of_operator() == UploadLimits(2, 200)
    with pytest.raises(SettingsError, match="more than 2 rows"):
        lay_down(LOOSE, tmp_path, UploadLimits.of_operator())
    big = UploadLimits(200, 0)
    with pytest.raises(SettingsError, match="larger than 0 MB together"):
        lay_down(LOOSE, tmp_path, big)
    with pytest.raises(SettingsError, match="larger than 0 MB unpacked"):
        lay_down([("x.zip", zipped(*LOOSE))], tmp_path, big)
    with pytest.raises(SettingsError, match="takes no data sets"):
        lay_down(LOOSE, tmp_path, UploadLimits(0, 200))
    assert stored(tmp_path) == []


def test_uploads_do_not_fill_the_disk(tmp_path: Path) -> None:
    old = tmp_path / "0123" / "audio"
    old.mkdir(parents=True)
    with (old / "0.wav").open("wb") as file:
        file.truncate(11 << 20)
    with pytest.raises(SettingsError, match="takes no more"):
        lay_down(LOOSE, tmp_path, UploadLimits(200, 1))
