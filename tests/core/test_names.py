"""Names in results and lists: nobody's folders, none twice, and the operator's as JSON."""

from __future__ import annotations

import logging

import pytest

from modgap.core.names import named_in, short_name, unused_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("openai/whisper-small", "openai/whisper-small"),
        ("demo:adapter", "demo:adapter"),
        ("/home/me/whisper", "whisper"),
        ("/home/me/whisper/", "whisper"),
        ("./whisper", "whisper"),
        ("../whisper", "whisper"),
        ("~/models/whisper", "whisper"),
        (r"C:\Users\me\whisper", "whisper"),
        ("C:/Users/me/whisper", "whisper"),
        (r"models\whisper", "whisper"),
        (r"\\server\share\me\whisper", "whisper"),
        ("/", "model"),
        (".", "model"),
        ("C:\\", "model"),
    ],
)
def test_a_folder_is_called_by_its_last_part_on_either_system(name: str, short: str):
    assert short_name(name) == short


def test_a_path_without_a_last_part_is_called_what_the_caller_says():
    assert short_name("/", "clip") == "clip"


def test_the_first_free_number_is_taken():
    assert unused_name("a", ()) == "a"
    assert unused_name("a", {"a": 1}) == "a (2)"
    assert unused_name("a", ["a", "a (2)", "a (4)"]) == "a (3)"
    assert unused_name("a (2)", ["a (2)"]) == "a (2) (2)"


def test_the_operators_names_are_a_json_list(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    assert named_in("MODGAP_SOME_NAMES", '["a"]') == ()
    monkeypatch.setenv("MODGAP_SOME_NAMES", '["b", "a", "b"]')
    assert named_in("MODGAP_SOME_NAMES", '["a"]') == ("b", "a")
    assert not caplog.records


@pytest.mark.parametrize("value", ["not JSON", "{}", '"a"', "[1]", '["a", " "]'])
def test_what_is_no_list_of_names_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str
):
    monkeypatch.setenv("MODGAP_OTHER_NAMES", value)
    with caplog.at_level(logging.ERROR, "modgap"):
        assert named_in("MODGAP_OTHER_NAMES", '["org/model"]') == ()
        assert named_in("MODGAP_OTHER_NAMES", '["org/model"]') == ()
    assert [r.getMessage() for r in caplog.records] == [
        'MODGAP_OTHER_NAMES must be a JSON list of names, such as ["org/model"].'
    ]
