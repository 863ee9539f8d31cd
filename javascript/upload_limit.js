/* Large uploads under Gradio 3, which keeps a file as text in the page: a file of 200 MB crashes the browser's tab.
   A large voice is sent to the server directly, and the field gets its path; a large portrait is refused. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.isTooLarge) {
        return;
    }

    const LARGEST_MB = 100;
    /* Two hours of the largest usual format need less. */
    const LARGEST_VOICE_MB = 3000;
    const PORTRAIT = "#sadtalker_portrait_field";
    const VOICE = "#sadtalker_sound_part";
    /* Gradio needs this long to store a field's new text. */
    const STORE_TEXT_MS = 50;
    const NOT_SENT = "could not be uploaded: the server did not answer. Choose it again.";
    const NOT_SAVED = "could not be uploaded: the server could not save it. Its disk may be full.";
    let sending = null;

    ui.isTooLarge = function (file) {
        const version = String((window.gradio_config || {}).version);
        return version.startsWith("3.") && file.size > LARGEST_MB * 1e6;
    };

    /* Show a line above the field, in place of an earlier one. */
    function showLine(field, text, kind) {
        field.querySelectorAll(".st-upload").forEach((line) => line.remove());
        const line = document.createElement("div");
        line.className = `st-message st-upload ${kind}`;
        line.setAttribute("role", kind === "st-error" ? "alert" : "status");
        line.textContent = text;
        field.prepend(line);
        return line;
    }

    function refuse(field, file, largestMb) {
        const sizeMb = Math.round(file.size / 1e6);
        const remedy = field.matches(VOICE) ? "Choose a shorter or compressed file." :
            "Choose a smaller picture, or a shorter video.";
        const limit = `this page takes up to ${largestMb} MB. ${remedy}`;
        showLine(field, `${file.name} has ${sizeMb} MB, but ${limit}`, "st-error");
    }

    function uploadVoice(field, file) {
        const request = sending = new XMLHttpRequest();
        const form = new FormData();
        const line = showLine(field, `Uploading ${file.name} ...`, "st-note");
        form.append("files", file);
        request.upload.addEventListener("progress", function (event) {
            const percent = Math.floor(100 * event.loaded / event.total);
            line.firstChild.data = `Uploading ${file.name}: ${percent} %`;
        });
        request.addEventListener("load", function () {
            const path = request.status === 200 ? JSON.parse(request.responseText)[0] : "";
            if (path) {
                line.remove();
                ui.setText("sadtalker_large_voice", path);
                setTimeout(ui.press, STORE_TEXT_MS, "sadtalker_use_voice");
            } else {
                showLine(field, `${file.name} ${NOT_SAVED}`, "st-error");
            }
        });
        request.addEventListener("error", () => showLine(field, `${file.name} ${NOT_SENT}`, "st-error"));
        request.open("POST", `${(window.gradio_config || {}).root || ""}/upload`);
        request.send(form);
    }

    function check(event, files) {
        const field = event.target.closest && event.target.closest(`${PORTRAIT}, ${VOICE}`);
        if (!field || !files || files.length === 0) {
            return;
        }
        if (sending !== null) {
            sending.abort();
            sending = null;
        }
        field.querySelectorAll(".st-upload").forEach((line) => line.remove());
        const file = Array.from(files).find(ui.isTooLarge);
        if (!file) {
            return;
        }
        event.preventDefault();
        event.stopImmediatePropagation();
        const largestMb = field.matches(VOICE) ? LARGEST_VOICE_MB : LARGEST_MB;
        if (file.size > largestMb * 1e6) {
            refuse(field, file, largestMb);
        } else {
            uploadVoice(field, file);
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
