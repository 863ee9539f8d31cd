/* Accessibility of Gradio's components inside the tab: Gradio 3 leaves some without a label or out of reach of Tab. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.improveAccessibility) {
        return;
    }

    /* Gradio 3 opens an accordion and the dialog of an upload with a click on a div. */
    function makeButton(element) {
        if (!element || element.tagName === "BUTTON" || element.hasAttribute("role")) {
            return;
        }
        element.setAttribute("role", "button");
        element.tabIndex = 0;
        element.addEventListener("keydown", function (event) {
            if (event.target === element && (event.key === "Enter" || event.key === " ")) {
                event.preventDefault();
                element.click();
            }
        });
    }

    function labelOf(field) {
        const block = field.closest(".block, .form > *");
        const title = block && block.querySelector("[data-testid=block-info], label > span, .label-wrap, legend");
        return title ? title.textContent.trim() : "";
    }

    /* Gradio 4 names its button of the playback speed without the speed that it shows. */
    function nameSpeedButton(button) {
        const text = button.textContent.trim();
        const label = button.getAttribute("aria-label") || "";
        if (text && !label.includes(text)) {
            button.setAttribute("aria-label", `${text}: ${label}`);
        }
    }

    ui.improveAccessibility = function (tab) {
        tab.querySelectorAll("button.playback").forEach(nameSpeedButton);
        for (const title of tab.querySelectorAll(".label-wrap")) {
            makeButton(title);
            title.setAttribute("aria-expanded", String(title.classList.contains("open")));
        }
        tab.querySelectorAll("div > input[type=file]").forEach((input) => makeButton(input.parentElement));
        for (const field of tab.querySelectorAll("input:not([type=hidden]), textarea, select")) {
            const isNamed = field.hasAttribute("aria-label") || field.hasAttribute("aria-labelledby");
            const inLabel = field.labels && Array.from(field.labels).some((label) => label.innerText.trim() !== "");
            if (!isNamed && !inLabel && labelOf(field)) {
                field.setAttribute("aria-label", labelOf(field));
            }
        }
    };

    (ui.updaters = ui.updaters || []).push((tab) => ui.improveAccessibility(tab));
})();
