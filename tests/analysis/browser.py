"""A real browser without a window, and the page's own process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import support

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1200,1600",
)  # fmt: skip


def installed() -> bool:
    """Whether Chromium and its driver are there (Debian: chromium, chromium-driver)."""
    return all(shutil.which(name) for name in ("chromium", "chromedriver"))


@contextmanager
def running_browser(profile: Path) -> Iterator[Any]:
    """Chromium with an empty profile, driven by selenium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = Service(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def requested(driver: Any) -> list[str]:
    """Addresses that were asked for since the last call, but for the browser's own pages."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    addresses = [params["request"]["url"] for params in sent]
    return [address for address in addresses if not address.startswith(("chrome:", "data:"))]


@contextmanager
def running_demo(*args: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``python -m mt_fairseq.demo`` as a user starts it -> its process and address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mt_fairseq.demo", *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=support.ROOT,
        env=support.environment(),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("open http://"), line
        yield process, line.split()[1]
    finally:
        process.terminate()
        process.wait(timeout=30)
