"""What pages offer to copy is run: the Python gives the page's figure, the command its numbers."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

import modgap.figures.base
from modgap.cli import main
from modgap.ui import as_code, localize, widgets
from modgap.ui.server.service import service
from tests.app.conftest import finish, go, result, visit_of
from tests.app.test_gap_pages import run_folder  # noqa: F401  a fixture
from tests.app.test_pages import tone, upload

Open = Callable[..., AppTest]


class Shown:
    """The last code of each row of downloads, and the figure that it is of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: dict[str, tuple[as_code.Code, Any]] = {}
        self.files: dict[str, Any] = {}
        drawn = widgets.downloads
        monkeypatch.setattr(
            modgap.figures.base, "standalone_html",
            lambda figure, title=None: figure.to_json().encode(),
        )  # fmt: skip

        def spy(files: Any, *, key: str, code: as_code.Code | None = None) -> None:
            self.files[key] = files
            if code is not None:
                pages = [f for f in files if f.mime == "text/html"]
                figure = next((f for f in pages if f.label == "Maps (HTML)"), pages[0])
                self.rows[key] = (code, json.loads(figure.make()))
            drawn(files, key=key, code=code)

        monkeypatch.setattr(widgets, "downloads", spy)

    def check(self, key: str) -> str:
        """Run the Python of a row; returns its command."""
        code, figure = self.rows.pop(key)
        assert len(code.python.splitlines()) == 3 or "runs = {" in code.python
        scope: dict[str, Any] = {}
        exec(code.python, scope)
        assert json.loads(scope["figure"].to_json())["data"] == figure["data"], code.python
        return code.command


@pytest.fixture
def shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_folder: Path, second_folder: Path
) -> Shown:
    """In a folder where the models bear the names that the pages know them by."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder in (tiny_folder, second_folder):
        (tmp_path / "here" / folder.name).symlink_to(folder)
    return Shown(monkeypatch)


def told(command: str) -> dict[str, Any]:
    """What a command prints as JSON."""
    name, *words = shlex.split(command)
    assert name == "modgap"
    made = CliRunner().invoke(main.app, [*words, "--json"])
    assert made.exit_code == 0, made.output
    return json.loads(made.stdout)


def test_what_the_pages_of_a_clip_offer_gives_what_they_show(
    shown: Shown, analysed: AppTest
) -> None:
    at = analysed
    at.run()
    analysis = service().result(visit_of(at).shown.key)
    assert analysis is not None
    assert told(shown.check("clip"))["key"] == analysis.key
    go(at, "layers")
    assert told(shown.check("layers"))["key"] == analysis.key
    finish(go(at, "alignment"))
    command = shown.check("alignment")
    assert command.startswith("modgap analyze example:ex0 --transcript ")
    go(at, "interventions")
    before_after = result()
    numbers = told(shown.check("interventions"))
    assert numbers["kl_after"] == pytest.approx(before_after.kl_after)
    go(at, "decided")
    patched = result()
    chosen = at.selectbox(key="wd_layer").value, at.selectbox(key="wd_token").value
    assert chosen == localize.strongest(patched)
    rows = told(shown.check("wd_patching"))["rows"]
    assert max(abs(r["change"]) for r in rows if r["change"] is not None) == pytest.approx(
        max(abs(patched.change.ravel())), rel=1e-4
    )
    at.segmented_control(key="wd_show").set_value("sweep").run()
    swept = result()
    assert len(told(shown.check("wd_sweep"))["rows"]) == len(swept.table)
    at.segmented_control(key="wd_show").set_value("answer").run()
    assert shown.check("wd_answer_files") == ""
    at.segmented_control(key="wd_show").set_value("lens").run()
    assert shown.check("wd_lens") == ""


def test_several_curves_and_models(shown: Shown, analysed: AppTest, second_folder: Path) -> None:
    at = go(analysed, "layers")
    names = [at.session_state["model"], second_folder.name]
    at.session_state["compare_models"] = names
    finish(at.run())
    assert len(shown.rows["layers"][1]["data"]) > 2
    assert shown.check("layers") == ""  # a command is of one clip and one model
    finish(go(at, "compare"))
    at.run()
    assert [m["name"] for m in told(shown.check("compare"))["models"]] == names


def test_two_clips(shown: Shown, analysed: AppTest, tmp_path: Path) -> None:
    at = go(analysed, "compare")
    at.segmented_control(key="cm_what").set_value("clips").run()
    finish(at)
    at.run()
    assert shown.check("clips_ab") == ""  # a condition is no file, and no example is one
    for name, seconds in (("a.wav", 1.4), ("b.wav", 1.1)):
        (tmp_path / "here" / name).write_bytes(tone(seconds))
    go(at, "clip")
    upload(at, "a.wav", tone(1.4))
    at.text_area(key="transcript").set_value("two words").run()
    next(b for b in at.button if b.key == "analyse").click().run()
    finish(at)
    go(at, "compare")
    at.segmented_control(key="ab_source").set_value("Upload").run()
    at.file_uploader(key="ab_upload").set_value(("b.wav", tone(1.1), "audio/wav")).run()
    finish(at)
    at.run()
    found = told(shown.check("clips_ab"))
    assert [c["name"] for c in found["clips"]] == ["a.wav", "b.wav"]


def test_what_the_pages_of_a_run_offer(
    shown: Shown,
    open_app: Open,
    run_folder: Path,  # noqa: F811
) -> None:
    at = go(open_app(only=["topic:t0"]), "gap")
    command = shown.check("gap")
    assert "--where topic=t0" in command
    assert "--tolerance" in command
    assert told(command)["run"] == "mine"
    go(at, "correlation")
    assert told(shown.check("correlation"))["lines"]
    (questions,) = shown.files["questions"]
    rows = pd.read_csv(io.BytesIO(questions.make()))
    first = ["checkpoint", "question", "item", "failed", "aps_cos", "layer"]
    assert list(rows.columns)[: len(first)] == first
    assert rows["question"].str.fullmatch(r"q\d").all()
    assert set(rows["layer"]) == {"mean over layers"}
    assert questions.file.startswith("modgap-mine-")
    assert all("mine" in f.file for key in ("gap", "correlation") for f in shown.files[key])


def test_words_of_all_kinds_survive_a_shell_and_python(
    shown: Shown, analysed: AppTest, tmp_path: Path
) -> None:
    at = analysed
    for words in ("@home 'quoted' \"twice\" $(touch x) \\n", "two\nlines; `ls` {run}"):
        at.text_area(key="transcript").set_value(words).run()
        next(b for b in at.button if b.key == "analyse").click().run()
        finish(at)
        at.run()
        key = visit_of(at).shown.key
        assert told(shown.check("clip"))["key"] == key
    assert not (tmp_path / "here" / "x").exists()
