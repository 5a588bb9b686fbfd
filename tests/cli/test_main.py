"""The command line: what it prints, what it refuses, and how."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

import modgap
from modgap.cli import app, main
from modgap.cli.errors import explain, literal
from modgap.cli.render import size
from modgap.core.errors import SettingsError, StoreError
from modgap.core.network import is_loopback
from modgap.models.loading import load as loading
from tests.even_words import aligned
from tests.hostile import HOSTILE
from tests.recompute import strict_json
from tests.tiny import make_clip

PATIENCE = 600  # seconds; only a busy machine comes near
ROOT = Path(modgap.__file__).parent.parent
TEXT = "What is [bold]the[/bold] <s> $capital$ of France?"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """An empty working folder with a clip in it, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODGAP_CACHE", raising=False)
    (tmp_path / "clip.wav").write_bytes(make_clip().wav_bytes())
    return tmp_path


@pytest.fixture
def run(tiny_model, tiny_folder, monkeypatch) -> Callable[..., Any]:
    """Run a command in this process; the tiny model, once loaded, serves all tests."""
    load = loading.load_quietly

    def loaded(name: str, **options: Any) -> Any:
        return tiny_model if name == "tiny" else load(name, **options)

    monkeypatch.setattr(loading, "load_quietly", loaded)
    return lambda *args: CliRunner().invoke(main.app, [str(a) for a in args])


def analyze(run: Callable[..., Any], *args: Any, clip: Any = "clip.wav", text: str = TEXT) -> Any:
    fast = ("--model", "tiny", "--max-new-tokens", "2")
    return run("analyze", clip, "--transcript", text, *fast, *args)


def refused(result: Any, say: str = "") -> str:
    """Exit code 2, nothing on stdout, one line on stderr, no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("modgap: error: ")
    assert "Traceback" not in lines[0]
    assert len(lines[0]) < 400
    assert say.lower() in lines[0].lower()
    return lines[0]


# ---- analyze -----------------------------------------------------------------------------------


def test_a_part_of_the_clip_wants_a_part_of_the_words(run, monkeypatch):
    monkeypatch.setattr("modgap.analysis.clip_part.word_times", aligned)
    text = "one two three four"
    warned = analyze(run, "--end", "0.75", text=text)
    assert "add --cut-words if" in warned.stderr
    cut = analyze(run, "--end", "0.75", "--cut-words", "--json", text=text)
    assert cut.exit_code == 0, cut.output
    found = json.loads(cut.stdout)
    assert found["transcript"] == "one two"
    assert found["clip"]["seconds"] == pytest.approx(0.75)
    assert "the words of this part: one two" in cut.stderr
    mine = analyze(run, "--end", "0.75", "--words-of-part", "--json", text="one two")
    assert mine.stderr == ""
    assert json.loads(mine.stdout)["key"] == found["key"]  # the same question, asked twice
    empty = analyze(run, "--start", "1", "--end", "0.5", "--cut-words", text=text)
    refused(empty, "choose an end after the start")


def test_the_table(run):
    result = analyze(run)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith("clip.wav, 1.50 s, in tiny")
    assert "from the cache" not in lines[0]
    assert lines[1].split()[:3] == ["layer", "cosine", "distance"]
    assert [line.split()[0] for line in lines[2:7]] == ["0", "1", "2", "3", "4"]
    assert any(line.startswith("answer to the text:") for line in lines)
    assert any(line.startswith("answer to the speech:") for line in lines)
    assert "from the cache" in analyze(run).stdout.splitlines()[0]
    assert "from the cache" not in analyze(run, "--no-cache").stdout.splitlines()[0]


def test_channels_that_cancel_are_told_and_one_can_be_taken(run, place):
    left = make_clip().samples
    both = np.stack([left, -left + 1e-3 * left[::-1]], 1)
    sf.write(place / "both.wav", both, make_clip().rate, subtype="FLOAT")
    commands = {
        "analyze": ("--no-answers",),
        "intervene": ("--max-new-tokens", "1"),
        "sweep": ("--rule", "angle", "--layers", "0"),
        "pipeline": ("--max-new-tokens", "1"),
        "words": (),
        "compare-models": ("--max-new-tokens", "1"),
    }
    for command, options in commands.items():
        words = ("--transcript", "what is two", "--model", "tiny", *options)
        result = run(command, "both.wav", *words)
        lines = [line for line in result.stderr.splitlines() if "cancel" in line]
        assert len(lines) == 1, (command, result.output)
        assert lines[0].startswith("modgap: warning: The 2 channels cancel each other"), command
        result = run(command, "both.wav", *words, "--channel", "1")
        assert "cancel" not in result.output, command
    refused(run("analyze", "both.wav", *words[:4], "--channel", "3"), "no channel 3")
    result = analyze(run, "--channel", "1", "--json", "--no-answers", clip="both.wav")
    assert json.loads(result.stdout)["clip"]["sha256"] == make_clip().sha256
    noted = analyze(run, "--json", "--no-answers", clip="both.wav")
    assert "cancel" in json.loads(noted.stdout)["notes"][0]
    told = analyze(run, "--no-answers", clip="both.wav")  # once, and not again with the table
    assert told.output.count("cancel each other") == 1


def test_no_cache_leaves_no_cache(run, place):
    assert analyze(run, "--no-cache").exit_code == 0
    assert [p.name for p in place.iterdir()] == ["clip.wav"]


def test_json_alone_on_stdout(run):
    result = analyze(run, "--json", "--no-answers", "--layers", "0,3-4")
    assert result.stderr == ""
    summary = json.loads(result.stdout, parse_constant=pytest.fail)
    assert result.stdout.isascii()
    assert summary["transcript"] == TEXT
    assert "".join(summary["text_tokens"]) == TEXT
    assert [row["layer"] for row in summary["layers"]] == [0, 3, 4]
    assert summary["answers"] is None
    assert summary["clip"]["seconds"] == 1.5


def test_the_options_reach_the_settings(run):
    words = "--markers drop --no-final-norm --temperature 0.5 --seed 7 --system Be --start 0.5"
    result = analyze(run, "--json", "--instruction", "a <b> c", "--end", "1.25", *words.split())
    summary = json.loads(result.stdout)
    s = summary["settings"]
    assert (s["markers"], s["final_norm"], s["temperature"], s["seed"]) == ("drop", False, 0.5, 7)
    assert (s["instruction"], s["system"], s["max_new_tokens"]) == ("a <b> c", "Be", 2)
    assert summary["clip"]["seconds"] == 0.75


def test_files(run, place):
    result = analyze(run, "--out", "deep/er", "--states")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (place / "deep" / "er").iterdir()) == [
        "analysis.json",
        "layers.parquet",
        "matrices.safetensors",
        "states.safetensors",
        "tokens.parquet",
    ]
    assert result.stdout.splitlines()[-1].endswith("in deep/er")
    assert strict_json(place / "deep" / "er" / "analysis.json")["transcript"] == TEXT
    (place / "mine").mkdir()
    (place / "mine" / "layers.parquet").write_text("mine")
    refused(analyze(run, "--out", "mine"), "did not write")
    refused(analyze(run, "--out", "clip.wav"), "is a file")


def test_transcripts_from_files(run, place):
    (place / "words.txt").write_bytes("\ufeffGröße\n".encode())
    (place / "latin.txt").write_bytes("Größe".encode("latin-1"))
    (place / "large.txt").write_bytes(b"a" * 2_000_000)
    (place / "empty.txt").write_bytes(b"\n")
    assert json.loads(analyze(run, "--json", text="@words.txt").stdout)["transcript"] == "Größe"
    assert json.loads(analyze(run, "--json", text="@@home").stdout)["transcript"] == "@home"
    refused(analyze(run, text="@latin.txt"), "UTF-8")
    refused(analyze(run, text="@large.txt"), "1 MB")
    refused(analyze(run, text="@empty.txt"), "empty")
    refused(analyze(run, text="@nowhere.txt"), "nowhere.txt")
    refused(analyze(run, text="@."), "directory")
    refused(analyze(run, text="@\x00"), "cannot be read")
    refused(analyze(run, text=" "), "empty")


def test_stdin(run, place):
    data = (place / "clip.wav").read_bytes()
    words = ["analyze", "-", "--transcript", TEXT, "--model", "tiny", "--no-answers"]
    result = CliRunner().invoke(main.app, words, input=data)
    assert result.exit_code == 0, result.output
    refused(CliRunner().invoke(main.app, words, input=b""), "empty")


def test_markup_and_control_characters_are_shown_literally(run, place):
    name = "[red]x[b] \x1b[2J:smile:.wav"
    (place / name).write_bytes((place / "clip.wav").read_bytes())
    result = analyze(run, clip=name)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("[red]x[b]")
    assert "[2J:smile:.wav, 1.50 s" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\x1b" not in refused(analyze(run, clip="no\x1b[2J\nsuch"), "no")
    assert literal("a\x1b[1m\u202eb\n") == "a\\x1b[1m\\u202eb\\n"


def test_undefined_monotonicity_is_said(run):
    result = analyze(run, text="5")
    assert re.search(r"monotony, layers 0, 1, 2, 3, 4: undefined", result.stdout)
    assert "nan" not in result.stdout.lower()


@pytest.mark.parametrize(
    ("words", "say"),
    [
        ("--layers x", "0,4-8"),
        ("--layers 4-", "0,4-8"),
        ("--layers -1", "0,4-8"),
        ("--layers 4-2", "low to high"),
        ("--layers 0-999999999", "0,4-8"),
        ("--layers 0-99", "layers 0 to 4"),
        ("--layers ²", "0,4-8"),
        ("--markers maybe", "keep"),
        ("--start 9", "start"),
        ("--start 1 --end 0.5", "end"),
        ("--start nan", "start"),
        ("--max-new-tokens 0", "max_new_tokens"),
        ("--temperature -1", "temperature"),
        ("--seed -1", "seed"),
        ("--seed x", "--seed"),
        ("--states", "--out"),
        ("--nonsense", "--nonsense"),
        ("--model ./nowhere", "nowhere"),
        ("--model .", "config.json"),
        ("--dtype float8 --model TINY", "float8"),
        ("--device abacus --model TINY", "abacus"),
        ("--revision main --model TINY", "revision"),
    ],
)
def test_wrong_options(run, tiny_folder, words, say):
    refused(analyze(run, *words.replace("TINY", str(tiny_folder)).split()), say)


@pytest.mark.parametrize("words", ["", "bogus", "analyze", "analyze clip.wav", "cache bogus"])
def test_wrong_commands(run, words):
    result = run(*words.split())
    assert result.exit_code == 2
    if words:
        assert "--help" in refused(result)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_audio(run, place, name):
    item = HOSTILE[name]
    path = place / f"bad{item.suffix}"
    path.write_bytes(item.data)
    result = analyze(run, "--no-answers", "--layers", "0", clip=path)
    if item.expect is not None:
        refused(result, item.expect)
    elif result.exit_code != 0:
        refused(result)
    assert not (place / "cache").exists() or result.exit_code == 0


def test_clips_that_are_no_files(run, place):
    refused(analyze(run, clip="nowhere.wav"), "nowhere.wav")
    refused(analyze(run, clip=place), "folder")
    refused(analyze(run, clip="/dev/null"), "")
    (place / "long.wav").write_bytes(make_clip(11.0).wav_bytes())
    refused(analyze(run, clip="long.wav"), "at most 10 s")


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "say"),
    [
        (SettingsError("Two\nlines \x1b[1m."), "Two lines \\x1b[1m."),
        (OSError(28, "No space left on device", "/x/y"), "No space left on device: /x/y"),
        (OSError(), "OSError"),
        (MemoryError(), "Out of memory"),
        (RuntimeError("CUDA out of memory. Tried to"), "Out of memory"),
        (KeyError("k"), "Unexpected KeyError"),
        (RecursionError(), "Unexpected RecursionError"),
    ],
    ids=str,
)
def test_any_exception_is_one_line(run, monkeypatch, problem, say):
    def fail(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(loading, "load_quietly", fail)
    refused(analyze(run), say)
    loud = analyze(run, "--debug")
    assert loud.exit_code == 2
    assert "Traceback" in loud.stderr
    assert type(problem).__name__ in loud.stderr


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), modgap.Cancelled()], ids=["^C", "cancel"])
def test_interrupted(run, monkeypatch, problem):
    def stop(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(loading, "load_quietly", stop)
    result = analyze(run)
    assert (result.exit_code, result.stderr) == (130, "modgap: stopped\n")


def test_a_cache_that_cannot_be_written_is_a_warning(run, place, monkeypatch):
    monkeypatch.setenv("MODGAP_CACHE", str(place / "clip.wav"))
    result = analyze(run)
    assert result.exit_code == 0
    assert "answer to the speech" in result.stdout
    assert result.stderr.startswith("modgap: warning: The result was not kept.")
    assert len(result.stderr.splitlines()) == 1


def test_damage_in_the_cache_is_a_warning(run, place):
    first = analyze(run, "--json").stdout
    for path in (place / "cache").rglob("arrays.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    again = analyze(run, "--json")
    assert again.exit_code == 0
    assert "set aside" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    assert json.loads(again.stdout)["layers"] == json.loads(first)["layers"]


# ---- the other commands ------------------------------------------------------------------------

COMMANDS = ["", "analyze", "models", "cache", "cache info", "cache clear", "app"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(run, command):
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    if command != "cache":
        assert "Example:" in result.stdout
        assert "modgap" in result.stdout.split("Example:")[1]


def test_the_family_is_there(run):
    result = run("demo", "--help")
    assert result.exit_code == 0, result.output
    for command in ("train", "eval", "speak"):
        assert command in result.stdout
        shown = run("demo", command, "--help")
        assert shown.exit_code == 0, shown.output
        assert "modgap demo" in shown.stdout, "its help has an example"


BAD_DEMO = [
    (("speak", "Hello.", "--out", "said.txt"), ".wav or .flac"),
    (("speak", " ", "--out", "said.wav"), "no text"),
    (("speak", "Hello.", "--voice", "en-us+nobody", "--out", "said.wav"), "voice"),
    (("speak", "Hello.", "--rate", "10", "--out", "said.wav"), "rate"),
    (("speak", "Hello.", "--out", "missing/said.wav"), "another folder"),
    (("speak", "Hello."), "demo speak --help"),
    (("eval", "--people", "nowhere.csv"), "name a CSV file"),
    (("eval",), "demo eval --help"),
    (("train", "--work", "work", "--wordnet", "nowhere"), "wordnet-base"),
]


@pytest.mark.parametrize(("args", "say"), BAD_DEMO)
def test_the_family_refuses_in_one_line(run, args, say):
    refused(run("demo", *args), say)


def test_the_family_shows_where_an_error_comes_from(run):
    result = run("demo", "speak", "Hello.", "--out", "said.txt", "--debug")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback")
    assert "SettingsError" in result.stderr


def test_the_family_speaks(run, place):
    result = run("demo", "speak", "What is two plus two?", "--out", "said.wav")
    assert result.exit_code == 0, result.output
    assert 0.5 < modgap.load_clip(place / "said.wav").seconds < 4


def test_models(run):
    result = run("models")
    assert result.exit_code == 0, result.output
    assert "Qwen/Qwen2-Audio-7B-Instruct" in result.stdout
    assert re.search(r"^demo:\w+ +embedded +ready", result.stdout, re.MULTILINE), result.stdout


def test_cache_commands(run, place):
    assert re.search(r"entries +0", run("cache", "info").stdout)
    assert not (place / "cache").exists()
    analyze(run)
    analyze(run, "--states", "--out", "x")
    assert re.search(r"entries +2", run("cache", "info").stdout)
    result = run("cache", "clear")
    assert result.stdout.startswith("deleted 2 entries (")
    assert re.search(r"entries +0", run("cache", "info").stdout)
    assert run("--version").stdout == f"modgap {modgap.__version__}\n"


def test_sizes():
    assert [size(n) for n in (0, 999, 1000, 2.5e6, 2 << 30, 5e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 MB",
        "2.1 GB",
        "5000.0 GB",
    ]


# ---- modgap app --------------------------------------------------------------------------------


def test_the_plan_of_a_server(place, monkeypatch):
    (place / "model").mkdir()
    server = app.plan(["Org/Model", "model"], port=free_port())
    assert server.command[1:4] == ("-m", "streamlit", "run")
    assert "--server.address=127.0.0.1" in server.command
    hosts = {o for o in server.command if "allowedHosts" in o}
    assert hosts == {"--server.allowedHosts=localhost", "--server.allowedHosts=127.0.0.1"}
    assert json.loads(server.environment["MODGAP_MODELS"]) == ["Org/Model", str(place / "model")]
    assert server.environment["MODGAP_CACHE"] == str(place / "cache")
    assert server.folder == ROOT
    wide = app.plan(address="0.0.0.0", port=free_port(), allow_hosts=["lab.example"])
    assert "--server.allowedHosts=lab.example" in wide.command
    assert not any("allowedHosts=0.0.0.0" in o for o in wide.command)
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("lab.example")


def test_a_server_that_cannot_start(run):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        refused(run("app", "--port", busy.getsockname()[1]), "is taken")
    refused(run("app", "--port", "0"), "--port")
    refused(run("app", "--address", "192.0.2.1"), "not an address of this machine")
    refused(run("app", "--address", "no such"), "not an address")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def command(*words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The real command in a process group of its own, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modgap.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_app_serves_and_stops():
    port = free_port()
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
    with command("app", "--port", str(port), "--no-open") as process:
        while True:
            try:
                with urllib.request.urlopen(url + "/_stcore/health", timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert time.monotonic() < end, "the server did not come up"
                assert process.poll() is None, process.communicate()
                time.sleep(0.3)
        with urllib.request.urlopen(url, timeout=PATIENCE) as page:
            assert "content-security-policy" in page.headers
        lines = [process.stderr.readline()]
        while "the explorer is at" not in lines[-1]:
            assert lines[-1], lines
            lines.append(process.stderr.readline())
        # What Ctrl+C in a terminal does: the whole group is interrupted.
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert f"the explorer is at {url}" in lines[-1]
    assert "Traceback" not in "".join(lines) + err


# ---- the real command, in a process of its own -------------------------------------------------


def test_the_real_command(tiny_folder, place):
    words = ("analyze", "clip.wav", "--transcript", TEXT, "--model", str(tiny_folder), "--json")
    # An encoding that cannot print what the model says must not matter.
    with command(*words, PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert err == ""
    summary = json.loads(out, parse_constant=pytest.fail)
    assert len(summary["layers"]) == 5
    assert summary["model"]["name"] == tiny_folder.name


def test_help_and_refusals_are_quick_and_import_nothing_heavy():
    code = (
        "import sys\nfrom modgap.cli.main import app\n"
        "for words in (['--help'], ['analyze', '--help'], ['analyze', 'x', '--transcript', 'y'],"
        " ['cache', 'info']):\n"
        "    try: app(words)\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'pandas', 'numba', 'streamlit'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_store_errors_are_explained():
    assert explain(StoreError("Free some disk space.")) == "Free some disk space."
