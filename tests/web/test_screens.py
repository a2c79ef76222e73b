"""How the pages look on a day when much is wrong: sizes, contrast, names, and pictures.

Where ``ROC_SCREENSHOTS`` names a directory, each page is left there as a picture, at the size of
a phone, a laptop and a wall, in light and in dark. They are there to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptness import prompt
from waiting import wait_until
from weblab import Lab

SCREENSHOTS = os.environ.get("ROC_SCREENSHOTS")  # here: tests do not see such variables
SIZES = {"phone": (390, 844), "laptop": (1366, 768), "wall": (1920, 1080)}
PAGES = {
    "overview": "",
    "status": "status?plot=vnir.temperature&plot=stage.position",
    "objects": "objects",
    "object": "objects/vnir?plot=vnir.temperature",
    "logs": "logs",
    "calls": "objects/vnir",
}


@pytest.fixture(scope="module")
def bad_day(lab: Lab) -> Lab:
    """Something of all that can be wrong."""
    lab.start_chiller().kill()
    lab.call("openShutter")
    for _ in range(3):
        lab.call("say", "frame taken")
    lab.call("say", "the cooler runs at its limit", 30)
    lab.call("stumble")
    lab.call("say_often", 40)
    states = {"absent", "serving"}
    told = "the chiller is known to be gone"
    wait_until(lambda: {one["state"] for one in lab.ask("objects").json} == states, 10, told)
    wait_until(lambda: lab.ask("overview.json").json["stale"], what="its status is stale")
    return lab


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """Light or dark, as the system asks for it."""
    return str(request.param)


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    """Whose screen it is."""
    return str(request.param)


@pytest.fixture
def screen(browser: Any, bad_day: Lab, scheme: str, size: str) -> Iterator[Any]:
    """A page on that screen."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "phone"
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fit_to_be_seen(
    screen: Any, bad_day: Lab, name: str, size: str, scheme: str
) -> None:
    screen.goto(bad_day.url + PAGES[name])
    screen.locator("main h1").wait_for()
    arrange(screen, name)
    overflow = screen.evaluate("document.documentElement.scrollWidth - innerWidth")
    if SCREENSHOTS:
        screen.screenshot(path=Path(SCREENSHOTS) / f"{name}-{size}-{scheme}.png")
    assert overflow <= 0, f"{name} is wider than a {size}"
    found = screen.evaluate(CONTRAST)
    assert found["least"] >= 4.5, found
    assert screen.evaluate(NAMELESS) == []


def arrange(screen: Any, name: str) -> None:
    """Bring a page into the state that is worth to be seen."""
    match name:
        case "overview":
            screen.locator(".problems li").nth(3).wait_for()
            screen.locator(".figures .spark").first.wait_for()
        case "status":
            screen.locator(".plots canvas").wait_for()
            screen.locator("tr.stale").first.wait_for()
            screen.locator("tr.out").first.wait_for()
        case "objects":
            screen.locator("tr.absent, .tile.absent").wait_for()
        case "logs":
            screen.locator(".row").first.wait_for()
            screen.get_by_role("button", name="Previous error").click()
            screen.locator(".record .trace").wait_for()
        case "object":
            part = screen.locator('[data-member="getFrame"]')
            part.get_by_role("button", name="Live").click()
            part.locator("canvas").wait_for()
            screen.locator(".plots canvas").wait_for()
            part.evaluate("part => part.scrollIntoView()")
            screen.evaluate("scrollBy(0, -100)")
        case "calls":
            part = screen.locator('[data-member="setIntegrationTime"]')
            part.locator("input").first.fill("99")
            part.get_by_role("button", name="Call").click()
            part.locator(".failure summary").click()
            for method in ("table", "wait"):
                part = screen.locator(f'[data-member="{method}"]')
                part.get_by_role("button", name="Call").click()
            with prompt():  # for a second
                part.locator(".running").wait_for(timeout=5000)
            part.evaluate("part => part.scrollIntoView({block: 'end'})")


NAMELESS = """() => [...document.querySelectorAll("button, input, select, a")].filter(element =>
    !(element.textContent.trim() || element.labels?.length || element.ariaLabel)
    || element.tabIndex < 0).map(element => element.outerHTML)"""

CONTRAST = """() => {
    const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c =>
        c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = element => {
        for (; element; element = element.parentElement) {
            const colour = parse(getComputedStyle(element).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    let least = 99, where = "";
    for (const element of document.querySelectorAll("#app *")) {
        const isText = node => node.nodeType === 3 && node.data.trim();
        if (![...element.childNodes].some(isText)) continue;
        const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < least) [least, where] = [ratio, element.outerHTML.slice(0, 200)];
    }
    return {least, where};
}"""
