"""The archive as files: every link leads to a file, nothing needs a server, and writing again writes what is new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import web_story as story
from bs4 import BeautifulSoup

from tosmon.archive import Archive, Snapshots
from tosmon.errors import TosmonError
from tosmon.web import WebSettings
from tosmon.web.static_site import MANIFEST, export_site

SETTINGS = WebSettings("Terms watch", story.SETTINGS.site_url, feeds=story.SETTINGS)


@dataclass
class Exported:
    archive: Archive
    told: story.Told
    folder: Path
    snapshots: Path

    def soup(self, name: str) -> BeautifulSoup:
        return BeautifulSoup((self.folder / name).read_text(encoding="utf-8"), "lxml")

    def pages(self) -> list[Path]:
        return sorted(self.folder.rglob("*.html"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    home = tmp_path_factory.mktemp("static")
    archive = Archive(f"sqlite:///{home}/archive.sqlite")
    told = story.tell(archive, home / "snapshots")
    settings = replace(SETTINGS, snapshots=home / "snapshots")
    export_site(archive, settings, home / "site", story.NOW, evidence=True)
    yield Exported(archive, told, home / "site", home / "snapshots")
    archive.close()


def test_every_link_leads_to_a_file_and_to_a_place_in_it(exported: Exported) -> None:
    """Opened from a folder, every link, image, script and style of every page is there, and so is the place it names."""
    ids: dict[Path, set[str]] = {}
    for page in exported.pages():
        ids[page.resolve()] = set(re.findall(r'\bid="([^"]*)"', page.read_text(encoding="utf-8")))
    checked = 0
    for page in exported.pages():
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "lxml")
        for tag in soup.select("[href], [src]"):
            address = urlsplit(str(tag.get("href") or tag.get("src")))
            if address.scheme in ("http", "https"):
                continue
            assert not address.scheme and not address.path.startswith("/") and not address.query, (page, tag)
            target = (page.parent / unquote(address.path)).resolve() if address.path else page.resolve()
            assert target.is_file() and target.is_relative_to(exported.folder.resolve()), (page, tag)
            if address.fragment and target in ids:
                assert unquote(address.fragment) in ids[target], (page, tag)
            checked += 1
    assert checked > 5000


def test_nothing_on_a_page_needs_a_server(exported: Exported) -> None:
    """No form, no search, and no time that grows old ("3 hours ago"); what may run is said in the page itself."""
    for page in exported.pages():
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "lxml")
        policy = soup.select_one("meta[http-equiv=Content-Security-Policy]")
        assert policy is not None and "default-src 'none'" in str(policy["content"]), page
        assert not soup("form") and "Search" not in soup.get_text(), page
        for time in soup("time"):
            assert not re.search(r"\bago\b|^in \d", time.get_text()), (page, time)


def test_pages_stand_where_their_addresses_are(exported: Exported) -> None:
    """Links in feeds and mails work on a static host: each address is a folder with an index."""
    change = exported.told.changes["training"]

    assert "may train AI models" in exported.soup(f"changes/{change}/index.html").get_text()
    assert exported.soup(f"changes/{change}/side.html").select(".columns")
    assert exported.soup("services/Inkwell/Terms of Service/index.html").select(".story")
    assert (exported.folder / f"changes/{change}/patch.diff").read_text().startswith("--- version-")
    text = (exported.folder / f"versions/{exported.told.versions[story.BRUSHWORK][0]}/text.md").read_text()
    assert story.PROMISE in text


def test_feeds_and_their_list_are_written_beside(exported: Exported) -> None:
    """A feed of each kind is where the pages and the list of feeds say that it is."""
    atom = (exported.folder / "feeds/all.atom").read_text(encoding="utf-8")

    assert f"{story.SETTINGS.site_url}/changes/{exported.told.changes['training']}" in atom
    assert (exported.folder / "feeds.opml").is_file()
    assert len(list((exported.folder / "feeds").rglob("*.rss"))) > 10


def test_evidence_is_copied_when_asked_for(exported: Exported, tmp_path: Path) -> None:
    """WARC files are large: without being asked for they are neither copied nor linked."""
    assert list((exported.folder / "versions").rglob("*.warc.gz"))
    without = replace(SETTINGS, snapshots=exported.snapshots)
    export_site(exported.archive, without, tmp_path / "site", story.NOW)

    assert not list(tmp_path.rglob("*.warc.gz"))
    assert "warc.gz" not in (tmp_path / f"site/changes/{exported.told.changes['training']}/index.html").read_text()


def test_hostile_names_and_texts_stay_harmless_files(exported: Exported) -> None:
    """A platform whose name is markup gets a plain folder, and its page runs nothing."""
    for file in exported.folder.rglob("*"):
        assert file.resolve().is_relative_to(exported.folder.resolve())
        assert not re.search(r'[\x00-\x1f<>:"\\|?*]', file.name), file
    for page in exported.pages():
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text and "<img src=x" not in text and 'onerror="' not in text, page


def test_writing_again_writes_what_is_new(tmp_path: Path) -> None:
    """An hour later nothing is written; a new change writes its own pages and the lists that it stands in."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.tell(archive, tmp_path / "snapshots")
    first = export_site(archive, SETTINGS, tmp_path / "site", story.NOW)
    again = export_site(archive, SETTINGS, tmp_path / "site", story.NOW + timedelta(minutes=1))
    teller = story._Teller(archive, Snapshots(tmp_path / "snapshots"), story.Told())
    teller.look(story.BRUSHWORK, story._terms_text("Brushwork", training=True), story.NOW, name="new", headline="New.")
    third = export_site(archive, SETTINGS, tmp_path / "site", story.NOW + timedelta(minutes=1))
    archive.close()

    assert first.written > first.pages and (again.written, again.removed) == (0, 0)
    assert third.pages == again.pages + 5 and 5 < third.written < 60


def test_what_is_no_site_of_ours_is_left_alone(exported: Exported, tmp_path: Path) -> None:
    """A folder with other things in it is refused; other files in an earlier export stay."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TosmonError, match="holds other things"):
        export_site(exported.archive, SETTINGS, tmp_path, story.NOW)
    site = tmp_path / "site"
    export_site(exported.archive, SETTINGS, site, story.NOW)
    (site / "CNAME").write_text("terms.example.org")
    manifest = site / MANIFEST
    manifest.write_text(
        manifest.read_text().replace('"pages": {', '"pages": {"../thesis.txt": "", "changes/999/index.html": "", ')
    )
    export_site(exported.archive, SETTINGS, site, story.NOW)

    assert (site / "CNAME").exists() and (tmp_path / "thesis.txt").exists()


def test_a_service_may_be_called_like_a_file_of_ours(tmp_path: Path) -> None:
    """A service by the name of index.html has its folder beside the file of that name."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.tell(archive, tmp_path / "snapshots")
    old = archive.browse.documents()[0].key.service
    archive.identities.rename(old, "index.html", lambda service, type: "")

    export_site(archive, SETTINGS, tmp_path / "site", story.NOW)

    assert (tmp_path / "site" / "services" / "index.html").is_file()
    assert len(list((tmp_path / "site" / "services").glob("index-html-*/index.html"))) == 1
    archive.close()
