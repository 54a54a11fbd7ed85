"""Clicks, inputs and seconds of the ways through the pages, in a real browser on a real console.

`python -m benchmarks.ways [--pictures DIRECTORY] [--width PIXELS] [--dark]`. A way begins on the
overview and ends when its result is on the screen. A typed or chosen value counts as one input.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright
from pymilvus import MilvusClient

from tests.live import Console

CHROMIUM = "/usr/bin/chromium-headless-shell"
OWNER, PASSWORD = "owner@example.com", "a long enough password"
ROWS = 7_000
PATIENCE_SECONDS = 60
expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@dataclasses.dataclass(kw_only=True)
class Walker:
    """A person at the browser, whose clicks and inputs are counted."""

    page: Page
    pictures: Path | None
    clicks: int = 0
    inputs: int = 0

    def click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1

    def link(self, name: str | re.Pattern[str]) -> None:
        exact = isinstance(name, str)
        self.click(self.page.get_by_role("link", name=name, exact=exact).first)

    def button(self, name: str | re.Pattern[str]) -> None:
        exact = isinstance(name, str)
        self.click(self.page.get_by_role("button", name=name, exact=exact).first)

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label).first.fill(text)
        self.inputs += 1

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_label(label).first.select_option(label=option)
        self.inputs += 1

    def sees(self, text: str | re.Pattern[str], place: str = "main") -> None:
        expect(self.page.locator(place)).to_contain_text(text)

    def picture(self, name: str) -> None:
        if self.pictures is not None:
            self.page.wait_for_load_state("networkidle")
            self.page.screenshot(path=str(self.pictures / f"{name}.png"), full_page=True)


def create_cluster(walker: Walker) -> None:
    walker.link(re.compile("Create the first cluster|Create a cluster"))
    walker.fill("Name", "shop")
    walker.button("Create cluster")
    walker.sees("Running", "h1")


def connect(walker: Walker) -> None:
    walker.link("shop")
    walker.button("Show token")
    walker.sees("MilvusClient", "#cluster-access")
    walker.picture("connect")


def back_up(walker: Walker) -> None:
    walker.link("Backups")
    walker.link(re.compile("Create a backup"))
    walker.button("Create backup")
    walker.sees("Succeeded", "h1")
    walker.picture("backup")


def restore(walker: Walker) -> None:
    walker.link("Backups")
    walker.click(walker.page.locator("#list tbody th a").first)
    walker.link("Restore")
    walker.picture("restore-options")
    walker.button("Preview restore")
    walker.picture("restore-check")
    walker.button("Restore")
    walker.sees("rows identical")
    walker.picture("restore-result")


def restore_into_new_cluster(walker: Walker) -> None:
    walker.link("Backups")
    walker.click(walker.page.locator("#list tbody th a").first)
    walker.link("Restore")
    walker.choose("Into the cluster", "A new cluster")
    walker.picture("restore-new-options")
    walker.button("Preview restore")
    walker.picture("restore-new-check")
    walker.button("Create cluster and restore")
    walker.picture("restore-new-begun")
    walker.sees("rows identical")
    walker.picture("restore-new-result")


def clone(walker: Walker) -> None:
    walker.link("shop")
    walker.link("Clone")
    walker.picture("clone")
    walker.button("Clone cluster")
    walker.sees("rows identical")


def schedule(walker: Walker) -> None:
    walker.link("Policies")
    walker.link(re.compile("Create a policy"))
    walker.button("Create policy")
    walker.sees("Next runs")
    walker.picture("policy")


def invite(walker: Walker) -> None:
    walker.link("Members")
    walker.link(re.compile("Invite|Add a member"))
    walker.fill("E-mail", "bob@example.com")
    walker.button(re.compile("Add member|Invite|Create link"))
    walker.sees("bob@example.com")
    walker.picture("invite")


def issue_key(walker: Walker) -> None:
    walker.link("API keys")
    walker.link(re.compile("Create an API key|Issue a key|Create a key"))
    walker.fill("Name", "ci")
    walker.picture("key-form")
    walker.button(re.compile("Create key|Issue key|Create API key"))
    walker.sees("ci")
    walker.picture("key")


WAYS: dict[str, Callable[[Walker], None]] = {
    "cluster": create_cluster,
    "connect": connect,
    "back up": back_up,
    "policy": schedule,
    "invite": invite,
    "key": issue_key,
    "restore": restore,
    "restore into a new cluster": restore_into_new_cluster,
    "clone": clone,
}


def look(walker: Walker) -> None:
    """Take pictures of pages that no way leads to."""
    page = walker.page
    for name, path in {
        "overview": "/o/demo/",
        "settings": "/o/demo/settings",
        "organization-new": "/organizations/new",
        "operations": "/o/demo/operations",
        "backups": "/o/demo/backups",
    }.items():
        page.goto(path)
        walker.picture(name)
    page.locator("#list tbody input[type=checkbox]").first.check()
    walker.button("Delete")
    walker.picture("bulk-confirm")
    for name, path in {"log": "Show log", "delete": "Delete", "collections": "All coll"}.items():
        page.goto("/o/demo/clusters")
        walker.link("shop")
        page.locator(f"a:has-text('{path}'), button:has-text('{path}')").first.click()
        walker.picture(f"cluster-{name}")


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def fill_cluster(console: Console) -> None:
    """Insert the rows that the later ways back up and restore."""
    api = console.api()
    service = api.get("/list/" + api.get("/me")["organizationId"])["services"][0]
    access = api.get(f"/{service['serviceId']}/access")
    address = f"http://{access['endpoint']}:{access['port']}"
    client = MilvusClient(address, token=access["token"])
    client.create_collection("images", dimension=8)
    for start in range(0, ROWS, 1000):
        rows = [{"id": key, "vector": [key % 97 / 97] * 8} for key in range(start, start + 1000)]
        client.insert("images", rows)
    client.close()


def walk(console: Console, walker: Walker) -> None:
    for name, way in WAYS.items():
        walker.page.goto("/o/demo/")
        walker.clicks = walker.inputs = 0
        began = time.monotonic()
        way(walker)
        seconds = time.monotonic() - began
        print(f"{name}: {walker.clicks} clicks, {walker.inputs} inputs, {seconds:.1f} s")
        if way is create_cluster:
            fill_cluster(console)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vbase-bench-") as directory, sync_playwright() as play:
        console = Console(Path(directory), VBASE_OWNER_EMAIL=OWNER, VBASE_OWNER_PASSWORD=PASSWORD)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            console.start()
            context = browser.new_context(
                base_url=console.url,
                viewport={"width": options.width, "height": 900},
                color_scheme="dark" if options.dark else "light",
            )
            page = context.new_page()
            page.set_default_timeout(PATIENCE_SECONDS * 1000)
            sign_in(page)
            walker = Walker(page=page, pictures=options.pictures)
            walk(console, walker)
            if options.pictures is not None:
                look(walker)
        finally:
            browser.close()
            console.close()


if __name__ == "__main__":
    main()
