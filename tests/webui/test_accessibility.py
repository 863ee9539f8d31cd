"""Accessibility of the page: the rules of axe-core, and the keyboard."""

from importlib.util import find_spec
from pathlib import Path

import pytest

SERIOUS = ("serious", "critical")
AUDIT = "axe.run('#tab_sadtalker').then((result) => result.violations)"


@pytest.fixture(scope="module")
def axe():
    """The JavaScript of axe-core, which the package axe-playwright-python contains."""
    found = find_spec("axe_playwright_python")
    if found is None:
        pytest.skip("the package axe-playwright-python is not installed")
    return Path(found.origin).with_name("axe.min.js").read_text("utf-8")


CONTRASTS = """() => {
    const linear = (level) => level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
    const luminance = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).map((number) => linear(number / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return ["generate", "interrupt"].flatMap((name) => {
        const style = getComputedStyle(document.querySelector("#sadtalker_" + name));
        const fill = style.backgroundImage.match(/rgb\\([^)]*\\)/g) || [style.backgroundColor];
        return fill.map((color) => ratio(luminance(style.color), luminance(color)));
    });
}"""
"""Contrasts of the text of the main buttons with each colour of their fill; axe-core does not judge gradients."""


def findings(page, axe):
    """Return each rule that the tab breaks seriously, with the HTML of its first place."""
    page.evaluate(axe)
    return [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in page.evaluate(AUDIT) if rule["impact"] in SERIOUS]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding_of_axe(standalone, visit, axe, theme):
    visitor = visit(standalone.address, theme=theme)
    page = visitor.page
    page.wait_for_timeout(1000)
    assert findings(page, axe) == []
    assert min(page.evaluate(CONTRASTS)) >= 4.5
    visitor.portrait("both.png")
    visitor.voice()
    visitor.press("generate")
    visitor.video_duration_s()
    for group in ("head", "eyes", "picture", "advanced"):
        visitor.open_group(group)
    page.click("#sadtalker_engine label:has-text('SadTalker networks')")
    page.wait_for_selector("#sadtalker_panel summary")
    page.wait_for_timeout(1000)
    assert findings(page, axe) == []
    for tab in ("Microphone", "Text", "Silent video"):
        visitor.voice_tab(tab)
        page.wait_for_timeout(500)
        assert findings(page, axe) == [], tab
    page.click("#sadtalker_engine label:has-text('Starter')")


def test_groups_of_settings_open_with_the_keyboard(standalone, visit):
    page = visit(standalone.address).page
    page.wait_for_timeout(1000)
    page.focus("#sadtalker_part_face .label-wrap")
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#sadtalker_part_head') !== null"):
            break
    assert page.evaluate("document.activeElement.classList.contains('label-wrap')")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    page.keyboard.press("Enter")
    page.wait_for_selector("#sadtalker_still input", state="visible")
    page.wait_for_selector("#sadtalker_part_head .label-wrap[aria-expanded=true]")


def test_a_portrait_is_chosen_and_removed_with_the_keyboard(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    choosers = visitor.file_choosers()
    zone = page.locator("#sadtalker_portrait :is([role=button], button):has(input[type=file])")
    zone.focus()
    page.keyboard.press("Enter")
    visitor.wait_for(choosers).set_files(visitor.inputs / "both.png")
    page.focus("#sadtalker_faces button[data-face='1']")
    page.keyboard.press("Enter")
    assert visitor.field("face") == "1"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert visitor.field("face") == "2"
    page.focus("[data-portrait=remove]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sadtalker_faces .st-faces", state="detached")
    page.wait_for_function("document.activeElement.closest('#sadtalker_portrait') !== null")


def test_every_input_has_a_name(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    for group in ("head", "eyes", "picture", "advanced"):
        visitor.open_group(group)
    page.wait_for_timeout(1000)
    names = page.eval_on_selector_all(
        "#tab_sadtalker input:not([type=hidden]), #tab_sadtalker textarea",
        """(fields) => fields.filter((field) => field.offsetParent !== null).map((field) => {
            const labels = Array.from(field.labels || [], (label) => label.innerText.trim());
            return field.getAttribute("aria-label") || labels.join();
        })""",
    )
    assert len(names) > 15
    assert "" not in names
