"""The page in a real headless browser: upload, ask, read the answer, see the figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mt_fairseq import ManagerTower
from tests import support
from tests.analysis import browser

pytestmark = pytest.mark.skipif(
    not browser.installed(), reason="no chromium and chromedriver (Debian: chromium-driver)"
)
QUESTION = "what colour is the square ?"
SECONDS = 120


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good pictures, and one that is cut off."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed, colour in enumerate(("red", "blue")):
        support.draw_square(folder / f"{colour}.png", colour, seed)
    whole = (folder / "red.png").read_bytes()
    (folder / "cut off.png").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def demo(vqa_checkpoint: Path, pictures: Path) -> Iterator[tuple[Any, str]]:
    with browser.running_demo(vqa_checkpoint, "--port", 0, "--pictures", pictures) as running:
        yield running


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser.running_browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


class Page:
    """What a user sees and does."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        driver.get(url)
        self.wait(lambda: self.all("#skills input"))

    def wait(self, condition: Any) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, SECONDS).until(lambda _: condition())

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def upload(self, path: Path) -> None:
        self.one("file").send_keys(str(path))

    def preview_is_shown(self) -> bool:
        image = self.one("preview")
        return image.is_displayed() and image.get_property("naturalWidth") > 0

    def ask(self, text: str) -> None:
        self.one("text").clear()
        self.one("text").send_keys(text)
        self.one("ask").click()

    def message(self) -> str:
        return self.wait(lambda: self.one("message").text)


@pytest.fixture
def page(driver: Any, demo: tuple[Any, str]) -> Page:
    return Page(driver, demo[1])


def test_upload_ask_read_the_answer_and_see_the_figures(
    page: Page, demo: tuple[Any, str], vqa_checkpoint: Path, pictures: Path
) -> None:
    page.upload(pictures / "red.png")
    page.wait(page.preview_is_shown)
    page.ask(QUESTION)
    rows = page.wait(lambda: page.all("#rows tr"))
    read = [tuple(cell.text for cell in row.find_elements("css selector", "td")) for row in rows]
    model = ManagerTower.from_pretrained(vqa_checkpoint)
    expected = model.answer(pictures / "red.png", QUESTION, topk=5)
    assert read == [(answer, f"{probability:.4f}") for answer, probability in expected]
    figures = page.all("#figures img")
    assert [figure.get_attribute("src").split("/")[-1] for figure in figures] == [
        "weights", "patches", "words"
    ]  # fmt: skip
    for figure in figures:
        page.wait(lambda one=figure: one.get_property("naturalWidth") > 500)
        assert figure.is_displayed() and figure.size["width"] > 300
    asked = browser.requested(page.driver)
    assert len(asked) > 5
    assert all(url.startswith(demo[1]) for url in asked), asked


def test_a_corrupt_upload_shows_the_message(page: Page, pictures: Path) -> None:
    page.upload(pictures / "red.png")
    page.wait(page.preview_is_shown)
    page.upload(pictures / "cut off.png")
    assert "cut off.png: the image is damaged" in page.message()
    assert not page.one("preview").is_displayed()
    page.ask(QUESTION)
    assert page.message() == "Choose a picture first."
    page.upload(pictures / "blue.png")  # and the page goes on
    page.wait(page.preview_is_shown)
    assert not page.one("message").is_displayed()


def test_pick_a_picture(page: Page) -> None:
    thumbnails = page.all("#pick button")
    assert [t.get_attribute("title") for t in thumbnails] == ["blue.png", "red.png"]
    thumbnails[1].click()
    page.wait(page.preview_is_shown)
    assert thumbnails[1].get_attribute("aria-pressed") == "true"
    page.ask("")
    assert page.message() == "Write a text first."
    page.ask(QUESTION)
    page.wait(lambda: page.all("#rows tr"))


def test_only_what_the_heads_can_do(page: Page) -> None:
    assert [label.text for label in page.all("#skills label")] == ["Ask a question"]
    assert page.one("model").text == "managertower_tiny AAUE"


def test_nothing_listens_beyond_loopback(demo: tuple[Any, str]) -> None:
    process, url = demo
    listening = [
        connection.laddr
        for connection in psutil.Process(process.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert [(address.ip, f"http://127.0.0.1:{address.port}/") for address in listening] == [
        ("127.0.0.1", url)
    ]
