"""Names in results and lists: nobody's folders, none twice, and the operator's as JSON."""

from __future__ import annotations

import logging

import pytest

from modgap.core.names import named_in, seen, short_name, turned_off, unused_name


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


TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_nothing_in_a_name_turns_letters_around():
    assert seen("gpj\u202evaw.exe") == "gpj‹202E›vaw.exe"
    for char in TURNS:
        for show in (seen, turned_off):
            assert show(f"a{char}b") == f"a‹{ord(char):04X}›b"
            assert not set(show(TURNS)) & set(TURNS)


def test_names_are_on_one_line_and_keep_what_belongs_to_them():
    assert seen("a\nb\tc\x1b[0m\u2028d") == "a‹000A›b‹0009›c‹001B›[0m‹2028›d"
    # A Persian name with its joiner, a Hebrew one with its mark, an emoji of several characters.
    for name in (
        "می\u200cخواهم.wav",
        "שלום\u200f!.wav",
        "\U0001f469\u200d\U0001f52c.wav",
        "é a.flac",
        "",
    ):
        assert seen(name) == name
    assert turned_off("two\n\tlines") == "two\n\tlines"
