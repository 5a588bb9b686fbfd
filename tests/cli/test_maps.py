"""The commands around maps: fit one, look at it, use it, hold it against its controls."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modgap.interventions.maps.files import load_map
from tests.cli.test_main import TEXT, place, refused, run  # noqa: F401
from tests.tiny import make_clip

FAST = ("--model", "tiny", "--max-new-tokens", "2")
WORDS = ["What is two?", "A brown fox", "The lazy dog", "Paris is big", "Red or blue?",
         "How many?", "Over the moon", "Nine lives", "A cat sat", "It was late", "Say it again",
         "Two and two"]  # fmt: skip


@pytest.fixture(autouse=True)
def data(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("modgap.analysis.heard.MAX_TOKENS", 4)  # random weights never end
    with (place / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "transcript", "reference"])
        for n, words in enumerate(WORDS):
            (place / f"{n}.wav").write_bytes(make_clip(0.8, seed=n).wav_bytes())
            writer.writerow([f"{n}.wav", words, "five"])


def fit(run: Any, name: str, *more: str) -> Any:  # noqa: F811
    given = ("--data", "m.csv", "--split", "all", "--limit", "5", "--model", "tiny")
    result = run("fit", name, *given, *more)
    assert result.exit_code == 0, result.output
    return result


def test_fit_and_intervene_without_a_transcript(run: Any, place: Path) -> None:  # noqa: F811
    said = fit(run, "mine", "--layer", "1", "--kind", "residual").stdout
    assert said.splitlines()[0].startswith("residual, layer 1, rank ")
    assert "the map" in said
    fitted = load_map("mine")
    assert fitted.layer == 1
    assert fitted.card["data"] == {"name": "m.csv", "split": "all", "limit": 5}
    assert str(place) not in json.dumps(fitted.card)
    result = run("intervene", "clip.wav", *FAST, "--map", "mine", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found["answers"]) == {"before", "after"}
    assert found["kl_before"] is None
    (it,) = found["interventions"]
    assert (it["rule"], it["layers"], it["tokens"]) == ("map", [1], "all")
    assert it["map"] == f"mine@{fitted.identity[:16]}"
    told = run("intervene", "clip.wav", *FAST, "--map", "mine", "--transcript", TEXT,
               "--keep-length", "--position", "3", "--layer", "0", "--json")  # fmt: skip
    found = json.loads(told.stdout)
    assert found["interventions"][0]["positions"] == [3]
    assert found["interventions"][0]["keep_length"] is True
    assert len(found["layers"]) == 5
    printed = run("intervene", "clip.wav", *FAST, "--map", "mine").stdout
    assert "to the speech, after" in printed
    assert "to the text" not in printed
    swept = run("sweep", "clip.wav", "--transcript", TEXT, "--model", "tiny", "--rule", "map",
                "--map", "mine", "--tokens", "all", "--strength", "1.0", "--layers", "0-1",
                "--json")  # fmt: skip
    assert [row["rule"] for row in json.loads(swept.stdout)["rows"]] == ["map", "map"]


def test_words_may_be_heard(run: Any) -> None:  # noqa: F811
    result = run("intervene", "clip.wav", *FAST, "--heard-by", "own")
    if result.exit_code:  # the random model may write nothing down
        refused(result, "heard no words")
    else:
        assert "heard: " in result.stdout
    refused(run("intervene", "clip.wav", *FAST), "give a transcript")
    refused(run("intervene", "clip.wav", *FAST, "--heard-by", "own", "--transcript", TEXT),
            "leave one of them out")  # fmt: skip


def test_list_and_show(run: Any) -> None:  # noqa: F811
    assert "none yet" in run("maps", "list").stdout
    fit(run, "a", "--kind", "shift", "--gate")
    fit(run, "b", "--kind", "shift", "--control", "rotated")
    fit(run, "c", "--kind", "ridge", "--control", "shuffled", "--penalty", "1", "--rank", "3")
    rows = [line.split() for line in run("maps", "list").stdout.splitlines()]
    assert [row[0] for row in rows if row and row[0] in "abc"] == ["a", "b", "c"]
    found = json.loads(run("maps", "list", "--json").stdout)
    assert found["a"]["gate"] is True
    assert found["b"]["kind"] == "shift, rotated"
    assert found["c"]["kind"] == "ridge, shuffled"
    assert found["c"]["rank"] == 3
    assert "without its gate" in run("maps", "show", "a").stdout
    assert json.loads(run("maps", "show", "c", "--json").stdout)["penalty"] == 1.0
    refused(run("maps", "show", "d"), "There is no map 'd'")


def test_what_cannot_be_fitted(run: Any) -> None:  # noqa: F811
    for options, message in (
        (("--kind", "spline"), "Maps are shift"),
        (("--layer", "4"), "could not be used"),
        (("--control", "none"), "shuffled or rotated"),
        (("--split", "third"), "The split is one of"),
        (("--data", "gone.csv"), "no manifest"),
        (("--limit", "8", "--split", "tuning"), "at least 4 different questions"),
    ):
        given = ("--data", "m.csv", "--model", "tiny", "--split", "all", *options)
        refused(run("fit", "mine", *given), message)
    refused(run("intervene", "clip.wav", *FAST, "--map", "mine"), "There is no map 'mine'")
    refused(run("intervene", "clip.wav", *FAST, "--rule", "map"), "needs a map")


def test_maps_in_table1_and_eval(run: Any, place: Path) -> None:  # noqa: F811
    fit(run, "mine", "--kind", "ridge")
    result = run("table1", "--data", "m.csv", "--limit", "2", *FAST, "--map", "mine", "--heard-by",
                 "own", "--out", "out")  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for row in (
        "map mine",
        "angle, all ",
        "angle, all (heard by own)",
        "patch, all (heard by own)",
    ):
        assert any(line.startswith(row) for line in lines), row
    assert not any(line.startswith("map mine (heard") for line in lines)
    for _ in range(2):  # the second goes on with the first
        result = run("eval", "--data", "m.csv", "--limit", "2", *FAST, "--out", "runs/a",
                     "--intervention", "mapped::map,map=mine")  # fmt: skip
        assert result.exit_code == 0, result.output
        assert "speech+mapped" in result.stdout
    result = run("eval", "--data", "m.csv", "--limit", "2", *FAST, "--out", "runs/c", "--heard-by",
                 "own", "--intervention", "angle", "--intervention", "map,map=mine")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.count("speech+") >= 4
    assert json.loads((place / "runs/c/run.json").read_text())["settings"]["heard_by"] == "own"
    about = json.loads((place / "runs/a/run.json").read_text())
    assert about["interventions"]["mapped"][0]["map"] == f"mine@{load_map('mine').identity[:16]}"
    fit(run, "mine", "--kind", "shift")
    again = run("eval", "--data", "m.csv", "--limit", "2", *FAST, "--out", "runs/a",
                "--intervention", "mapped::map,map=mine")  # fmt: skip
    refused(again, "was made otherwise")


def test_the_table_of_maps_and_controls(run: Any, place: Path) -> None:  # noqa: F811
    result = run("maps", "table", "--data", "m.csv", "--model", "tiny", "--layers", "0,2",
                 "--kinds", "shift,ridge", "--max-new-tokens", "2", "--out", "out")  # fmt: skip
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(place / "out" / "maps.parquet")
    named = table[table["layer"] == 2]
    assert set(zip(named["map"], named["control"], strict=True)) == {
        *(("shift", c) for c in ("", "own length", "gated")),
        *(("ridge", c) for c in ("", "own length", "gated", "rotated", "shuffled")),
        *((rule, "oracle") for rule in ("angle", "patch", "mean")),
    }
    assert set(table.loc[table["layer"].isna(), "variant"]) == {"none", "text"}
    assert (table["n"] == 8).all()  # the tuning third is not asked
    assert (table["change_low"] <= table["change"]).all()
    assert table.loc[table["map"].isin(["shift", "ridge"]) & (table["control"] == ""),
                     "explained"].notna().all()  # fmt: skip
    assert load_map(place / "out/maps/tiny/layer2-ridge").layer == 2
    answers = pd.read_parquet(place / "out" / "tiny-map-answers.parquet")
    assert answers.groupby("variant").size().eq(8).all()
