"""Opening runs: the contract of the tables, repeated keys, damaged and hostile folders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modgap.core.errors import StoreError
from modgap.evaluation.runs.tables import QUESTIONS, TABLES
from modgap.gap.accuracy import accuracies, gap_table
from modgap.gap.correlation import layer_means
from modgap.gap.run_data import open_run
from modgap.gap.run_database import signature_of
from tests.gap.made import answer, full, question, write_run


def layer(model: str, name: str, number: int, cosine: float) -> dict:
    return {"model": model, "question": name, "layer": number, "cosine": cosine}


def test_the_first_of_equal_keys_counts(tmp_path: Path) -> None:
    asked = [question("a"), question("b")]
    first = [answer("m", "a", "text", True), answer("m", "a", "speech", False)]
    again = [answer("m", "a", "speech", True), answer("m", "b", "text", True),
             answer("m", "b", "speech", True)]  # fmt: skip
    layers = [[layer("m", "a", 0, 0.1), layer("m", "b", 0, 0.3)], [layer("m", "a", 0, 0.9)]]
    run = open_run(write_run(tmp_path / "r", asked, {"answers": [first, again], "layers": layers}))
    table = gap_table(run).set_index("quantity")
    assert table.loc["speech", "value"] == 0.5
    assert layer_means(run, "cosine")["value"][0] == pytest.approx(0.2)
    assert layer_means(run, "cosine")["n"][0] == 2


def test_the_protocol_orders_models_and_names_groups(tmp_path: Path) -> None:
    rows = [answer(m, "a", "text", True) for m in ("z", "a:lora@2", "extra")]
    protocol = {"models": {"z": {"group": "mine"}, "a:lora@2": {}, "never run": {}}}
    run = open_run(write_run(tmp_path / "r", [question("a")], {"answers": [rows]}, protocol))
    assert run.models == ("z", "a:lora@2", "extra")
    assert [run.group_of(m) for m in run.models] == ["mine", "a:lora", "extra"]


def test_a_run_without_answers_opens(tmp_path: Path) -> None:
    run = open_run(write_run(tmp_path / "r", [question("a", topic="t")], {}))
    assert (run.models, run.inputs, run.questions, run.layers) == ((), (), 1, ())
    assert gap_table(run).empty
    assert run.facets["topic"] == ("t",)


def test_columns_of_older_and_newer_runs(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", [question("a")], {})
    rows = [answer("m", "a", "text", True), answer("m", "a", "speech", False)]
    old = full(rows, pa.schema({"model": pa.string(), "question": pa.string(),
                                "input": pa.string(), "correct": pa.bool_()}))  # fmt: skip
    pq.write_table(old, folder / "answers" / "part-00000.parquet")
    new = QUESTIONS.append(pa.field("added", pa.string()))
    pq.write_table(full([{**question("a"), "added": "x"}], new), folder / "questions.parquet")
    assert gap_table(open_run(folder)).set_index("quantity").loc["gap", "value"] == 1


def test_names_that_look_like_sql(tmp_path: Path) -> None:
    odd = "a'; DROP TABLE q; --\"x"
    rows = [answer(odd, odd, kind, True) for kind in ("text", "speech", f"speech+{odd}")]
    asked = [{**question(odd), "groups": [(odd, odd), ("item", odd)]}]
    run = open_run(write_run(tmp_path / "o'dd \"run", asked, {"answers": [rows]}, {}))
    table = gap_table(run, where={odd: [odd]}, by=odd)
    assert table.set_index("quantity").loc["speech", "value"] == 1
    assert set(table["part"]) == {odd}
    assert run.inputs[-1] == f"speech+{odd}"


@pytest.mark.parametrize("damage", ["missing", "json", "list", "parquet", "column", "empty file"])
def test_a_damaged_run_says_what_is_wrong(tmp_path: Path, damage: str) -> None:
    folder = write_run(
        tmp_path / "r", [question("a")], {"answers": [[answer("m", "a", "text", True)]]}
    )
    part = folder / "answers" / "part-00000.parquet"
    if damage == "missing":
        (folder / "run.json").unlink()
    elif damage == "json":
        (folder / "run.json").write_text("{")
    elif damage == "list":
        (folder / "run.json").write_text("[]")
    elif damage == "column":
        pq.write_table(pa.table({"model": ["m"]}), part)
    else:
        part.write_bytes(b"" if damage == "empty file" else b"PAR1 nonsense PAR1")
    with pytest.raises(StoreError) as problem:
        open_run(folder)
    assert str(tmp_path) not in str(problem.value).replace(str(folder), "") or damage == "missing"


def test_only_the_runs_own_folder_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.parquet"
    pq.write_table(pa.table({"x": [1]}), secret)
    folder = write_run(
        tmp_path / "r", [question("a")], {"answers": [[answer("m", "a", "text", True)]]}
    )
    (folder / "answers" / "part-00001.parquet").symlink_to(secret)
    run = open_run(folder)
    with pytest.raises(StoreError, match="cannot be read"):
        run.sql(f"SELECT * FROM read_parquet('{secret}')")
    with pytest.raises(StoreError):
        run.sql(f"COPY (SELECT 1) TO '{tmp_path / 'written.csv'}'")
    assert not (tmp_path / "written.csv").exists()


def test_a_part_that_comes_after_the_opening_is_not_in_the_signature(tmp_path: Path) -> None:
    """Else what was counted without it would be kept as the counts with it."""
    rows = [answer("m", "q0", "text", True)]
    folder = write_run(tmp_path / "r", [question("q0")], {"answers": [rows]})
    run = open_run(folder)
    more = full([answer("second", "q0", "text", True)], TABLES["answers"])
    pq.write_table(more, folder / "answers" / "part-00001.parquet")
    assert run.signature != signature_of(folder)
    again = open_run(folder)
    assert again.signature == signature_of(folder)
    assert (run.models, again.models) == (("m",), ("m", "second"))


def test_the_signature_follows_the_files(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", [question("a")], {})
    before = signature_of(folder)
    assert signature_of(folder) == before
    (folder / "run.json").write_text(json.dumps({"more": 1}))
    assert signature_of(folder) != before


def test_a_part_counts_once_its_answers_are_there(tmp_path: Path) -> None:
    answers = [[answer("m", "a", "text", True)]]
    layers = [[layer("m", "a", 0, 0.1)], [layer("m", "a", 1, 0.9)]]
    folder = write_run(tmp_path / "r", [question("a")], {"answers": answers, "layers": layers})
    assert open_run(folder).layers == (0,)


def test_a_failure_that_was_mended_counts_no_more(tmp_path: Path) -> None:
    lost = [{"model": "m", "question": q, "input": "text", "kind": "k", "reason": "r"}
            for q in "ab"]  # fmt: skip
    parts = {"answers": [[answer("m", "a", "text", True)]], "failures": [lost]}
    made = accuracies(open_run(write_run(tmp_path / "r", [question("a"), question("b")], parts)))
    assert made["failed"].tolist() == [1]


def test_lengths_of_a_run_that_is_not_finished(tmp_path: Path) -> None:
    parts = {"answers": [[answer("m", "a", "text", True)]],
             "clips": [[{"question": "a", "seconds": 1.5, "audio": "0"}]]}  # fmt: skip
    asked = [{**question("a"), "seconds": None}, {**question("b"), "seconds": None}]
    found = open_run(write_run(tmp_path / "r", asked, parts)).sql(
        "SELECT seconds FROM q ORDER BY question"
    )
    assert found["seconds"][0] == 1.5
    assert found["seconds"].isna()[1]


def test_a_question_is_found_without_the_libraries_of_models() -> None:
    """Pages look for it while another thread may import them, and may find a name missing then."""
    code = (
        "import sys; from modgap.gap.run_data import open_run;"
        "from modgap.gap.run_folders import find_question, known_runs;"
        "run = open_run(known_runs()['demo']);"
        "name = run.sql('SELECT question FROM questions LIMIT 1')['question'][0];"
        "assert find_question(run, name).load().seconds > 0;"
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
