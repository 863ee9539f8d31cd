/* More sources for the portrait: pasted and dropped pictures, and a webcam that starts only on request. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.setFile) {
        return;
    }

    /* Gradio shows its empty input this long after the old file was removed. */
    const CLEAR_MS = 150;
    const PORTRAIT = "sadtalker_portrait";
    /* Part of the icon of the button that removes the file in an input, in Gradio 3 and 4. */
    const CROSS = 'path[d^="M4.364,4.364"]';
    const START_BUTTON =
        '<button type="button" class="st-button" data-webcam="begin">Use the webcam</button>';
    const CAMERA_VIEW = '<video autoplay muted playsinline></video><div class="st-row">' +
        '<button type="button" class="st-button" data-webcam="take">Take picture</button>' +
        '<button type="button" class="st-button" data-webcam="end">Close</button></div>';

    /* Remove the file in an input. Gradio translates the label of the button into the browser's language. */
    ui.clearFile = function (id) {
        const cross = ui.element(id).querySelector(`button ${CROSS}`);
        if (cross) {
            cross.closest("button").click();
        }
    };

    /* Put a file into an input, in place of the current one, as if the user had chosen it. */
    ui.setFile = function (id, file) {
        ui.clearFile(id);
        setTimeout(function () {
            const input = ui.element(id).querySelector("input[type=file]");
            if (input) {
                const files = new DataTransfer();
                files.items.add(file);
                input.files = files.files;
                input.dispatchEvent(new Event("change", {bubbles: true}));
            }
        }, CLEAR_MS);
    };

    ui.setPortrait = (file) => ui.setFile(PORTRAIT, file);

    /* Pictures whose type many browsers do not know, so that Gradio refuses them; the server reads them. */
    const TYPES = {
        heic: "image/heic", heif: "image/heif", hif: "image/heif", avif: "image/avif", jxl: "image/jxl",
        jp2: "image/jp2", tif: "image/tiff", tiff: "image/tiff", ppm: "image/x-portable-pixmap", tga: "image/x-tga"
    };
    const ACCEPTED = "image/*,video/*," + Object.keys(TYPES).map((ending) => "." + ending).join(",");

    /*
     * The file with a type that Gradio's input accepts, if the browser does not know the type but the ending of the
     * name says it, or if it is a video, of which the server uses one frame; otherwise the file.
     */
    function withType(file) {
        const isVideo = file.type.startsWith("video/");
        const type = isVideo ? file.type.replace("video/", "image/") :
            TYPES[file.name.split(".").pop().toLowerCase()];
        return type && (isVideo || !file.type) ? new File([file], file.name, {type: type}) : file;
    }

    function pictureIn(files) {
        return Array.from(files || []).map(withType).find((file) => file.type.startsWith("image/"));
    }

    /* Gradio's input, or the button that replaces the picture. */
    function fileInput(target) {
        const part = target.closest && target.closest("#" + PORTRAIT + ", label:has([data-portrait=change])");
        return part && part.querySelector("input[type=file]");
    }

    function untyped(files) {
        const file = (files || [])[0];
        return file && withType(file) !== file ? withType(file) : null;
    }

    /* Before the file dialog opens. */
    document.addEventListener("click", function (event) {
        const input = fileInput(event.target);
        if (input && input.accept === "image/*") {
            input.accept = ACCEPTED;
        }
    }, true);

    document.addEventListener("change", function (event) {
        const chosen = event.target.type === "file" && fileInput(event.target) && untyped(event.target.files);
        if (chosen) {
            event.stopImmediatePropagation();
            ui.setPortrait(chosen);
        }
    }, true);

    document.addEventListener("drop", function (event) {
        const dropped = event.target.closest && event.target.closest("#" + PORTRAIT) &&
            untyped(event.dataTransfer.files);
        if (dropped) {
            event.preventDefault();
            event.stopImmediatePropagation();
            ui.setPortrait(dropped);
        }
    }, true);

    /* The webui handles pasted pictures itself. */
    document.addEventListener("paste", function (event) {
        const picture = !ui.inWebui() && event.clipboardData && pictureIn(event.clipboardData.files);
        if (picture) {
            ui.setPortrait(picture);
        }
    });

    /* The picture with its markers replaces Gradio's input, so that it must accept files too. */
    function shownPicture(target) {
        return target.closest && target.closest("#sadtalker_faces");
    }

    document.addEventListener("dragover", function (event) {
        if (shownPicture(event.target)) {
            event.preventDefault();
        }
    });

    document.addEventListener("drop", function (event) {
        if (shownPicture(event.target)) {
            event.preventDefault();
            const picture = pictureIn(event.dataTransfer.files);
            if (picture) {
                ui.setPortrait(picture);
            }
        }
    });

    document.addEventListener("change", function (event) {
        if (event.target.dataset && event.target.dataset.portrait === "change" && event.target.files.length > 0) {
            left = event.target.closest(".st-portrait-view");
            ui.setPortrait(event.target.files[0]);
        }
    });

    /* The keyboard's focus moves from a picture that was removed or changed to what replaces it. */
    let left = null;
    (ui.updaters = ui.updaters || []).push(function (tab) {
        const view = tab.querySelector("#sadtalker_faces .st-portrait-view");
        if (left === null || view === left) {
            return;
        }
        if (document.activeElement !== document.body) {
            left = null;
            return;
        }
        const input = ui.element(PORTRAIT).querySelector("input[type=file]");
        const target = view ? view.querySelector("[data-portrait=change]") : input && input.parentElement;
        if (target) {
            target.focus({preventScroll: true});
        }
    });

    function startCamera(view) {
        if (!navigator.mediaDevices) {
            showError(view, "The browser allows the webcam only on this machine or over https.");
            return;
        }
        navigator.mediaDevices.getUserMedia({video: true}).then(function (stream) {
            view.innerHTML = CAMERA_VIEW;
            view.querySelector("video").srcObject = stream;
        }).catch(() => showError(view, "No webcam is available to this page."));
    }

    function takePicture(video) {
        const canvas = document.createElement("canvas");
        canvas.width = video.videoWidth;
        canvas.height = video.videoHeight;
        canvas.getContext("2d").drawImage(video, 0, 0);
        canvas.toBlob((blob) => ui.setPortrait(new File([blob], "webcam.png", {type: "image/png"})), "image/png");
    }

    function stopCamera(view, video) {
        if (video) {
            video.srcObject.getTracks().forEach((track) => track.stop());
        }
        view.innerHTML = START_BUTTON;
    }

    function showError(view, text) {
        const line = view.querySelector(".st-text") || view.appendChild(document.createElement("div"));
        line.className = "st-text";
        line.setAttribute("role", "alert");
        line.textContent = text;
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("button[data-webcam], button[data-portrait]");
        if (!button) {
            return;
        }
        if (button.dataset.portrait) {
            left = button.closest(".st-portrait-view");
            ui.clearFile(PORTRAIT);
            return;
        }
        const view = button.closest(".st-webcam");
        const video = view.querySelector("video");
        if (button.dataset.webcam === "begin") {
            startCamera(view);
            return;
        }
        if (button.dataset.webcam === "take" && video && video.videoWidth) {
            takePicture(video);
        }
        stopCamera(view, video);
    });
})();
