"""Prompts against those of the released checkpoints' small files, token for token."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modgap.analysis.fidelity_report import check_model
from modgap.analysis.vendor_prompt import NAME
from modgap.core.errors import SettingsError
from modgap.models.base import SpeechLM
from modgap.models.loading.load import load_model
from modgap.models.prompt import Prompt
from tests.families.published import PUBLISHED, VENDORS, Published
from tests.tiny import make_clip

Folder = Callable[[str], Path]
QUESTION = "Which number comes after?"


def folder_of(family_folder: Folder, family: str, tmp_path: Path) -> Path:
    """The tiny checkpoint, with the released one's template where that is not the module's."""
    folder = Path(shutil.copytree(family_folder(family), tmp_path / family))
    if template := PUBLISHED[family].template:
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    return folder


def expected(model: SpeechLM, prompt: Prompt, text: str) -> list[int]:
    """Ids of a whole prompt in one go, its clip as many slots as were made of it."""
    ids = prompt.inputs["input_ids"][0]
    inside = [*prompt.content.tolist(), *prompt.pad_content.tolist()]
    heard = model.tokenizer.decode(ids[min(inside) : max(inside) + 1])
    whole = text.format(clip=heard, q=QUESTION)
    return list(model.tokenizer(whole, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("family", PUBLISHED)
def test_prompts_are_those_of_the_release(
    family_folder: Folder, family: str, tmp_path: Path
) -> None:
    found: Published = PUBLISHED[family]
    model = load_model(folder_of(family_folder, family, tmp_path), device="cpu")
    prompt = model.speech_prompt(make_clip(1.3))
    assert prompt.inputs["input_ids"][0].tolist() == expected(model, prompt, found.prompt)
    if found.asked:
        pair = model.prepare(make_clip(1.3), "two plus three", instruction=QUESTION)
        ids = pair.speech.inputs["input_ids"][0].tolist()
        assert ids == expected(model, pair.speech, found.asked)
    assert (model.support()["markers_drop"] is None) == found.typed
    if not found.typed:
        with pytest.raises(SettingsError, match=r"no place for a typed message.*markers keep"):
            model.text_prompt("two", markers="drop")
        with pytest.raises(SettingsError, match="no place for an instruction"):
            model.speech_prompt(make_clip(), instruction=QUESTION)


@pytest.mark.parametrize("family", VENDORS)
def test_questions_are_asked_as_the_publisher_asks(
    family_folder: Folder, family: str, tmp_path: Path
) -> None:
    model = load_model(folder_of(family_folder, family, tmp_path), device="cpu")
    prompt = model.speech_prompt(make_clip(1.3), instruction=QUESTION, style="vendor")
    text, _ = VENDORS[family]
    assert prompt.inputs["input_ids"][0].tolist() == expected(model, prompt, text)


@pytest.mark.parametrize("family", ["qwen3_asr", "fun_asr_nano", "moss_transcribe_diarize"])
def test_check_passes_with_the_release_s_template(
    family_folder: Folder, family: str, tmp_path: Path
) -> None:
    found = check_model(
        folder_of(family_folder, family, tmp_path), dtypes=("float32",), device="cpu"
    )
    assert not [c for c in found.checks if c.passed is False]
    assert [c.name for c in found.checks].count(NAME) == 1
