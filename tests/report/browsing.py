"""A real browser that opens one file: nothing leaves it, and whatever goes wrong in it is written down."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import missing

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ARGUMENTS += ["--disable-sync", "--no-first-run"]
NAMES = ("chromium", "chromium-browser", "google-chrome")
VIOLATIONS = "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"


CONTROLS = """() => {
  const folded = (e) => e.closest('details:not([open]) > :not(summary)') || e.closest('dialog');
  window.controls = [...document.querySelectorAll('a[href], button, input, select, summary')]
    .filter(e => e.checkVisibility() && !folded(e));
  return window.controls.length;
}"""
"""Keeps everything that can be worked in window.controls, and counts it."""

CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d');
  const rgb = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = (colour) => {
    const [r, g, b] = rgb(colour).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    while (e !== document.body && getComputedStyle(e).backgroundColor === 'rgba(0, 0, 0, 0)') e = e.parentElement;
    return getComputedStyle(e).backgroundColor;
  };
  const written = (e) => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll('body *')]
    .filter(e => written(e) && !e.closest('dialog, .unseen, option'))
    .map(e => [e, luminance(getComputedStyle(e).color), luminance(ground(e))])
    .filter(([e, a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5)
    .map(([e]) => `${e.tagName}.${e.className}`);
}"""
"""What has less contrast than WCAG's AA asks of text: https://www.w3.org/TR/WCAG22/#contrast-minimum"""

FILTERING = """async () => {
  const drawn = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  const times = [];
  for (const [id, value] of [['search', 'carefully'], ['outcome', 'worse'], ['outcome', ''], ['search', '']]) {
    const started = performance.now();
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event('input'));
    await drawn();
    times.push(performance.now() - started);
  }
  const started = performance.now();
  document.getElementById('all').click();
  await drawn();
  return [times, performance.now() - started];
}"""
"""Milliseconds from each change of a filter until it is drawn, and of opening all prompts."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium of the system, or the one that MLX_DISTILL_CHROMIUM names."""
    found = os.environ.get("MLX_DISTILL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing("no Chromium: install the package chromium, or name one in MLX_DISTILL_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, and what should stay empty: `requests` for anything but the file itself, `complaints` of the console.

    `blocked`: of these requests, those that the page's policy stopped before they left.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)

    def shown(self) -> list[int]:
        """The numbers of the prompts that can be seen."""
        ids = self.page.eval_on_selector_all(".prompt", "all => all.filter(p => p.offsetHeight).map(p => p.id)")
        return [int(name.removeprefix("prompt-")) for name in ids]

    def focused(self) -> str:
        """The id of the prompt, or of the element, that has the focus."""
        found: str = self.page.evaluate(
            "(document.activeElement.closest('.prompt') ?? document.activeElement).id || document.activeElement.tagName"
        )
        return found


def visit(browser: Any, file: Path, script: str = "", **options: Any) -> Opened:
    """Opens the file in a context of its own. `script` runs before the page's."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
    context.set_offline(True)
    context.add_init_script(VIOLATIONS + "\n" + script)
    opened = Opened(context.new_page())
    opened.page.on("console", lambda message: message.type == "error" and opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("request", lambda request: _note(opened, request.url, file))
    opened.page.on("requestfailed", lambda request: request.failure == "csp" and opened.blocked.append(request.url))
    opened.page.goto(file.as_uri())
    return opened


def _note(opened: Opened, url: str, file: Path) -> None:
    if not url.startswith((file.as_uri(), "data:")):
        opened.requests.append(url)
