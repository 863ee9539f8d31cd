/* Navigation: earlier results in the gallery, and the switch to the SadTalker tab from other tabs of the webui. */
(function () {
    "use strict";
    if (window.switch_to_sadtalker) {
        return;
    }
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};

    /* Gradio needs this long to store a field's new text. */
    const STORE_TEXT_MS = 50;

    document.addEventListener("click", function (event) {
        const card = event.target.closest && event.target.closest("button.st-result");
        if (card) {
            ui.setText("sadtalker_chosen_result", card.dataset.name);
            setTimeout(() => ui.press("sadtalker_show_result"), STORE_TEXT_MS);
        }
    });

    /* The webui calls this function by its name when a picture is sent to the tab. */
    window.switch_to_sadtalker = function () {
        const tab = ui.element("tab_sadtalker");
        const siblings = tab ? Array.from(tab.parentElement.children) : [];
        const tabs = siblings.filter((child) => child.classList.contains("tabitem"));
        const buttons = ui.root().querySelectorAll(
            "#tabs > .tab-nav > button, #tabs > .tab-nav-wrapper button, #tabs button[role=tab]");
        const named = Array.from(buttons).find((button) => button.textContent.trim() === "SadTalker");
        const target = named || buttons[tabs.indexOf(tab)];
        if (target) {
            target.click();
        }
        return Array.from(arguments);
    };
})();
