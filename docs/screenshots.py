"""Take the pictures of docs/tour.md from a console of their own, with sample data.

Run by `make screenshots`. The console has its own data directory and ports, and is stopped at the
end. The pictures are light, 1280 pixels wide, and small enough to be committed.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs/images"
CHROMIUM = Path("/usr/bin/chromium-headless-shell")
ORGANIZATION, STAFF, PASSWORD = "shop", "sam@example.com", "only-for-pictures-1"
READY_SECONDS = 120
SIZE = {"width": 1200, "height": 780}
WAYS = {
    "overview": ["/o/{organization}/"],
    "cluster": ["/o/{organization}/clusters", "main th[scope=row] a"],
    "backup": ["/o/{organization}/backups", "main th[scope=row] a"],
    "policy": ["/o/{organization}/policies", "main th[scope=row] a"],
    "protection": ["/o/{organization}/protection"],
    "activity": ["/o/{organization}/activity"],
    "support": ["/admin/"],
    "story": [
        "/admin/clusters/cluster/?q={organization}",
        "#result_list tbody th a",
        ".neighbours >> text=Story",
    ],
}
"""Picture → address, and the links to follow from there."""


def free_ports() -> tuple[int, int]:
    """Return a port for pages with a free neighbour for gRPC."""
    for port in range(18_000, 19_000, 2):
        with socket.socket() as pages, socket.socket() as grpc:
            try:
                pages.bind(("127.0.0.1", port))
                grpc.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port, port + 1
    raise SystemExit("No two free ports from 18000 to 19000. Stop a program that uses them.")


@contextmanager
def running_console(data: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Start a console, yield its address and environment, and stop it with its clusters."""
    port, grpc_port = free_ports()
    ports = {"VBASE_PORT": str(port), "VBASE_GRPC_PORT": str(grpc_port)}
    environment = {**os.environ, "VBASE_DATA_DIR": data, **ports}
    command = [sys.executable, "-m", "vbase_console.supervisor"]
    with open(Path(data) / "screenshots.log", "wb") as log:
        console = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own program
    try:
        wait_for(port, console)
        yield f"http://127.0.0.1:{port}", environment
    finally:
        console.send_signal(signal.SIGINT)
        console.wait(timeout=60)


def wait_for(port: int, console: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends and console.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise SystemExit("The console has not started. Its output is in screenshots.log.")


def manage(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def prepare(environment: dict[str, str]) -> None:
    """Make sample data, a person who owns it and belongs to support, and a cluster that cannot be
    attached, because no server listens there.
    """
    numbers = ["--clusters", "8", "--backups", "120", "--tasks", "200"]
    manage(environment, "seed_demo", "--organization", ORGANIZATION, *numbers)
    with_password = environment | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    account = ["--username", STAFF, "--email", STAFF]
    manage(with_password, "createsuperuser", "--noinput", *account)
    membership = (
        "from vbase_console.organizations import models, services;"
        "from django.contrib.auth.models import User;"
        f"organization = models.Organization.objects.get(name='{ORGANIZATION}');"
        f"user = User.objects.get(username='{STAFF}');"
        "services.add_member(organization, user=user, role='owner');"
        "from clusters.attach import attach_cluster, plan_connection;"
        "from vbase_console.organizations.authentication import principal_of_member;"
        "other = models.Organization.objects.get(name='demo');"
        "services.add_member(other, user=user, role='owner');"
        "connection = plan_connection(endpoint='127.0.0.1', port=9, token='root:Milvus');"
        "principal = principal_of_member(user, 'demo');"
        "attach_cluster(principal, name='search-eu', connection=connection)"
    )
    manage(environment, "shell", "--command", membership)


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-in")
    page.fill("#id_username", STAFF)
    page.fill("#id_password", PASSWORD)
    page.click("main button")


def change_something(page: Page, address: str) -> None:
    """Change the time zone, and fail to sign in, for the pictures of activity and support."""
    page.goto(f"{address}/o/{ORGANIZATION}/settings")
    page.fill("#id_timezone", "Europe/Berlin")
    page.click("main form button.primary")
    stranger = page.context.browser.new_context()  # type: ignore[union-attr]  # launched here
    for _ in range(10):
        form = stranger.new_page()
        form.goto(f"{address}/sign-in")
        form.fill("#id_username", "ana@example.com")
        form.fill("#id_password", "wrong")
        form.click("main button")
        form.close()
    stranger.close()


def take(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB")  # type: ignore[arg-type]  # its own class of sizes
    sign_in(page, address)
    change_something(page, address)
    for name, (start, *links) in WAYS.items():
        page.goto(address + start.format(organization=ORGANIZATION))
        for link in links:
            page.locator(link).first.click()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=IMAGES / f"{name}.png")


def main() -> None:
    tour = (ROOT / "docs/tour.md").read_text()
    missing = set(re.findall(r"images/(\w+)\.png", tour)) - WAYS.keys()
    if missing:
        raise SystemExit(f"docs/tour.md shows pictures that are not taken: {sorted(missing)}.")
    with tempfile.TemporaryDirectory() as data, running_console(data) as (address, environment):
        prepare(environment)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
            )
            take(browser, address)
            browser.close()


if __name__ == "__main__":
    main()
