"""The example app that receives webhooks, as a server runs it, against a sandbox that calls it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..ports import free_port

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_app_is_called_and_answers(tmp_path: Path) -> None:
    """Served by uvicorn, the app gets a signed call for each image, and returns the outputs to whoever asked."""
    port = free_port()
    with SandboxServer(Sandbox(image_latency=Fixed(0.3))) as server:
        sandbox = server.sandbox
        settings = {
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "WAVESPEED_BASE_URL": server.url,
            "WAVESPEED_API_KEY": sandbox.key_for("wavespeed"),
            "WAVESPEED_WEBHOOK_SECRET": sandbox.webhook_secret("wavespeed"),
        }
        command = [sys.executable, "-m", "uvicorn", "webhooks_app:api", "--app-dir", str(DOCS / "examples")]
        command += ["--port", str(port)]
        env = os.environ | settings
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            messages = next(line for line in process.stderr if "Uvicorn running" in line)
            with httpx.Client(base_url=settings["PUBLIC_URL"], timeout=30) as http:
                # WaveSpeedAI takes two a minute from a new account, and the app keeps to that.
                images = [http.post("/images", params={"prompt": f"a fox {number}"}).json() for number in range(2)]
                assert 404 == http.post("/hooks/nobody", json={}).status_code
        finally:
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=30)
        calls = [(one.path, one.status) for one in sandbox.log if one.kind == "webhook"]
    assert [("/hooks/wavespeed", 200)] * 2 == calls
    assert all(url.startswith(server.url) for urls in images for url in urls)
    assert 2 == len({url for urls in images for url in urls}) == sandbox.billed()
    assert settings["WAVESPEED_WEBHOOK_SECRET"] not in messages + rest


def test_the_page_names_each_provider() -> None:
    """The page has a line for each provider that calls, with its secret, and for no other."""
    page = (DOCS / "howto" / "webhooks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*?) \|", page, re.MULTILINE))
    calling = {name: one for name, one in PROVIDERS.items() if one.capabilities.webhook.value}
    assert calling.keys() == rows.keys()
    assert all(f"`{one.webhook_env}`" == rows[name] for name, one in calling.items() if one.webhook_env)
