/* Access to the page's elements, and the timer that updates them.
   The files of this folder share one object, window.sadtalkerUi, and work in any order: while a file loads, it only adds
   functions to that object, and "updaters", which the timer calls with the SadTalker tab. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.startTimer) {
        return;
    }

    const UPDATE_INTERVAL_MS = 400;

    /* Whether the page is inside stable-diffusion-webui, whose page defines gradioApp. */
    ui.inWebui = () => typeof gradioApp === "function";

    ui.root = () => ui.inWebui() ? gradioApp() : document;

    ui.element = (id) => ui.root().querySelector("#" + id);

    /* The text field inside the component with this id. */
    ui.field = (id) => ui.root().querySelector("#" + id + " textarea, #" + id + " input");

    ui.press = function (id) {
        const found = ui.element(id);
        const button = found && found.tagName !== "BUTTON" ? found.querySelector("button") : found;
        if (button) {
            button.click();
        }
    };

    /* Set the text of a component as if the user had typed it. */
    ui.setText = function (id, text) {
        const field = ui.field(id);
        if (field) {
            field.value = text;
            field.dispatchEvent(new Event("input", {bubbles: true}));
        }
    };

    ui.startTimer = function () {
        setInterval(function () {
            const tab = ui.element("tab_sadtalker");
            if (tab) {
                (ui.updaters || []).forEach((update) => update(tab));
            }
        }, UPDATE_INTERVAL_MS);
    };
    ui.startTimer();
})();
