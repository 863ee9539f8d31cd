/* Largest uploads under Gradio 3, which keeps a file as text in the page: a file of 200 MB crashes the browser's tab. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.isTooLarge) {
        return;
    }

    const LARGEST_MB = 100;
    const FIELDS = "#sadtalker_portrait_field, #sadtalker_sound_part";

    ui.isTooLarge = function (file) {
        const version = String((window.gradio_config || {}).version);
        return version.startsWith("3.") && file.size > LARGEST_MB * 1e6;
    };

    function showError(field, file) {
        const line = document.createElement("div");
        line.className = "st-message st-error st-too-large";
        line.setAttribute("role", "alert");
        line.textContent = `${file.name} has ${Math.round(file.size / 1e6)} MB, but this page takes up to ` +
            `${LARGEST_MB} MB. Cut the file, or save it smaller.`;
        field.prepend(line);
    }

    function check(event, files) {
        const field = event.target.closest && event.target.closest(FIELDS);
        if (!field || !files || files.length === 0) {
            return;
        }
        field.querySelectorAll(".st-too-large").forEach((line) => line.remove());
        const file = Array.from(files).find(ui.isTooLarge);
        if (file) {
            event.preventDefault();
            event.stopImmediatePropagation();
            showError(field, file);
        }
    }

    /* On the window, so that the files are checked before the other scripts see them. */
    window.addEventListener("change", function (event) {
        if (event.target.type === "file") {
            check(event, event.target.files);
        }
    }, true);
    window.addEventListener("drop", (event) => check(event, event.dataTransfer && event.dataTransfer.files), true);
})();
