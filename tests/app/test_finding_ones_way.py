"""Pages without a browser: the row of pages, links to what is not there, first steps, files."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from streamlit.testing.v1 import AppTest

from modgap.analysis.examples import examples
from modgap.ui import first_steps, localize, reach, widgets
from modgap.ui.server import history
from tests.app.conftest import PAGES, finish, go, visit_of

Open = Callable[..., AppTest]


# ---- the row of pages ----------------------------------------------------------------------------


def test_every_page_is_linked_from_every_page(open_app: Open) -> None:
    at = open_app()
    for page in PAGES:
        go(at, page)
        links = [link.proto.label for link in at.get("page_link")]
        assert links[: len(PAGES)] == [
            *("Clip", "Layers", "Alignment", "Interventions", "Localize", "Compare"),
            *("Modality gap", "Similarity vs gap"),
        ]


def test_the_start_page_names_the_script_and_is_never_an_old_one() -> None:
    page = b"<!DOCTYPE html><html><head><title>Streamlit</title></head></html>"
    seen: list[dict[str, Any]] = []

    async def streamlit(scope: Any, receive: Any, send: Any) -> None:
        assert b"if-none-match" not in dict(scope["headers"])
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(page)).encode()), (b"etag", b'"old"'),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page[:20], "more_body": True})
        await send({"type": "http.response.body", "body": page[20:]})

    async def send(message: dict[str, Any]) -> None:
        seen.append(message)

    def asked(path: str, accept: bytes = b"text/html") -> list[dict[str, Any]]:
        seen.clear()
        headers = [(b"accept", accept), (b"if-none-match", b'"old"')]
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        asyncio.run(history.OneEntryPerPage(streamlit)(scope, None, send))  # type: ignore[arg-type]
        return list(seen)

    start, body = asked("/layers")
    headers = dict(start["headers"])
    assert body["body"].index(history.TAG) < body["body"].index(b"<title>")
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    assert b"etag" not in headers
    start, body = asked(f"/base/{history.NAME}", b"*/*")
    assert dict(start["headers"])[b"content-type"].startswith(b"text/javascript")
    assert b"replaceState" in body["body"]


def remarks(at: AppTest) -> list[str]:
    """What is said in boxes, as it is read."""
    return [i.value.replace("\\", "").replace("\u2060", "") for i in at.info]


# ---- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"run": "0" * 64}, "not in this server's cache"),
        ({"run": "no-key"}, "the result no-key"),
        ({"example": "gone"}, "the example gone"),
        ({"example": "ex0", "model": "gone"}, "the model gone"),
    ],
)
def test_a_link_to_what_is_not_here_says_so(open_app: Open, query: Any, said: str) -> None:
    at = finish(open_app(**query))
    assert any(said in told for told in remarks(at)), remarks(at)


def test_a_link_to_a_run_that_is_not_here_says_so(open_app: Open) -> None:
    at = go(open_app(set="no run of this name"), "gap")
    said = "The run no run of this name of this link is not on this server"
    assert any(said in told for told in remarks(at))
    go(at, "clip")
    assert not any("of this link" in told for told in remarks(at))


# ---- the first screen, and what the model cannot do ----------------------------------------------


def test_three_steps_stand_on_the_first_screen_alone(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(at: AppTest) -> list[str]:
        shown = [m.value for m in at.markdown] + [link.proto.label for link in at.get("page_link")]
        return [s for s in shown if s[:5] in ("**1**", "**2**", "**3**")]

    at = open_app()
    assert [s[:5] for s in steps(at)] == ["**1**", "**2**", "**3**"]
    assert first_steps.EMBEDDED_MODEL not in [c.value for c in at.caption]
    monkeypatch.setattr(first_steps, "is_embedded", lambda name: True)
    assert first_steps.EMBEDDED_MODEL in [c.value for c in at.run().caption]
    finish(next(b for b in at.button if b.label == "Analyse").click().run())
    assert steps(at) == []


def wav(samples: np.ndarray, rate: int = 8000) -> bytes:
    out = io.BytesIO()
    sf.write(out, samples, rate, format="WAV")
    return out.getvalue()


def upload(at: AppTest, data: bytes) -> AppTest:
    at.session_state["source"] = "Upload"
    at.run()
    return at.file_uploader(key="upload").set_value(("mine.wav", data, "audio/wav")).run()


def test_a_banner_says_what_is_beyond_the_model(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = wav(0.1 * np.random.default_rng(0).normal(size=8000))
    at = upload(open_app(), noise)

    def told() -> str:
        return " ".join(w.value for w in at.run().warning if w.value.startswith("Outside of"))

    assert "No speech was found" in told()
    assert "English" not in told()
    monkeypatch.setattr(reach, "is_embedded", lambda name: True)
    at.text_area(key="transcript").set_value("これは日本語です")
    assert "does not look like English" in told()
    at.text_area(key="transcript").set_value("This is English.")
    assert "English" not in told()
    monkeypatch.setattr(reach.model_in_use, "longest_clip", lambda: 0.5)
    assert "longer than the 0.5 s" in told()
    at.file_uploader(key="upload").set_value(
        ("mine.flac", examples_of_people()[0].read_bytes(), "audio/flac")
    )
    assert "No speech" not in told()


def examples_of_people() -> list[Path]:
    """Recordings that are shipped, whatever the test's own examples are."""
    return sorted((Path(reach.__file__).parents[1] / "demo" / "examples").glob("*.flac"))


@pytest.mark.parametrize("text", ["red apples", "", "2 + 2?", "Moby Dick", "naïve café owners"])
def test_words_that_may_be_english_are_let_be(text: str) -> None:
    assert not reach.not_english(text)


@pytest.mark.parametrize(
    "text",
    [
        "Какая столица Франции?", "什么是法国的首都", "ما هي عاصمة فرنسا",
        "quelle est donc la capitale actuelle de votre pays lointain",
    ],
)  # fmt: skip
def test_other_languages_are_told(text: str) -> None:
    assert reach.not_english(text)


def test_every_example_is_english() -> None:
    assert not [e.id for e in examples() if reach.not_english(e.transcript)]


# ---- what is saved says what it is ---------------------------------------------------------------


def test_the_strongest_cell_is_the_one_of_the_largest_change() -> None:
    made: Any = SimpleNamespace(change=np.array([[np.nan, 0.1], [-0.9, 0.3]]), layers=(0, 3))
    assert localize.strongest(made) == (3, 0)
    made = SimpleNamespace(change=np.full((2, 2), np.nan), layers=(0, 3))
    assert localize.strongest(made) == (0, 0)


def test_a_table_is_as_high_as_its_rows() -> None:
    import tomllib

    config = tomllib.loads((Path(__file__).parents[2] / ".streamlit/config.toml").read_text())
    row = 2.1875 * config["theme"]["baseFontSize"]  # of Streamlit's grid: rem
    for rows in (1, 4, 9):
        assert 0 <= widgets.table_height(rows, 1000) - row * (rows + 1) - 2 < 1
    assert widgets.table_height(100, 390) == 390


@pytest.mark.parametrize(
    ("value", "n", "said"),
    [(619 / 640, 640, "96.7 %"), (0.5, 40, "50 %"), (1.0, 100, "100.0 %"), (float("nan"), 3, "–")],
)
def test_a_share_has_the_digits_that_its_n_carries(value: float, n: int, said: str) -> None:
    assert widgets.share(value, n) == said


def test_settings_hold_the_file_its_hash_and_its_part(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[widgets.Download] = []
    kept: list[dict[str, Any]] = []
    drawn = widgets.downloads

    def spy(files: Any, **more: Any) -> None:
        made[:] = files
        kept[:] = [json.loads(f.make()) for f in files if f.label == "Settings (JSON)"]
        drawn(files, **more)

    monkeypatch.setattr(widgets, "downloads", spy)
    data = wav(0.3 * np.sin(np.arange(8000) / 4) * np.linspace(0.2, 1, 8000))
    at = upload(open_app(), data)
    at.text_area(key="transcript").set_value("one two").run()
    at.session_state["trim"] = (0.25, 0.75)
    next(b for b in at.button if b.key == "analyse").click().run()
    finish(at)
    assert not at.error
    (settings,) = kept
    assert settings["source"] == {
        "kind": "upload", "file": "mine.wav", "file_sha256": hashlib.sha256(data).hexdigest(),
        "start": 0.25, "end": 0.75,
    }  # fmt: skip
    model = visit_of(at).usable["model"]
    assert all("mine" in f.file and model in f.file for f in made)
    page = next(f for f in made if f.file.endswith(".html")).make().decode()
    assert f"<title>Sound · mine.wav · {model}</title>" in page.replace("&#183;", "·")
