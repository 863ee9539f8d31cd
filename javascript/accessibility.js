/* Accessibility of Gradio's components inside the tab: Gradio 3 leaves some without a label or out of reach of Tab. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.improveAccessibility) {
        return;
    }

    /* Gradio 3 opens an accordion with a click on a div. */
    function makeAccordionReachable(title) {
        title.setAttribute("role", "button");
        title.tabIndex = 0;
        title.addEventListener("keydown", function (event) {
            if (event.target === title && (event.key === "Enter" || event.key === " ")) {
                event.preventDefault();
                title.click();
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
            if (title.tagName !== "BUTTON" && !title.hasAttribute("role")) {
                makeAccordionReachable(title);
            }
            title.setAttribute("aria-expanded", String(title.classList.contains("open")));
        }
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
