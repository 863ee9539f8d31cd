/* More sources for the portrait: pasted pictures outside the webui, and a webcam that starts only on request. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.setPortrait) {
        return;
    }

    /* Gradio shows its empty input this long after the old picture was removed. */
    const CLEAR_MS = 150;
    const START_BUTTON =
        '<button type="button" class="st-button" data-webcam="begin">Use the webcam</button>';
    const CAMERA_VIEW = '<video autoplay muted playsinline></video><div class="st-row">' +
        '<button type="button" class="st-button" data-webcam="take">Take picture</button>' +
        '<button type="button" class="st-button" data-webcam="end">Close</button></div>';

    /* Put a picture file into the portrait input, in place of the current one. */
    ui.setPortrait = function (file) {
        const portrait = ui.element("sadtalker_portrait");
        const clear = portrait.querySelector('button[aria-label="Clear"], button[aria-label="Remove Image"]');
        if (clear) {
            clear.click();
        }
        setTimeout(function () {
            const input = portrait.querySelector("input[type=file]");
            if (input) {
                const files = new DataTransfer();
                files.items.add(file);
                input.files = files.files;
                input.dispatchEvent(new Event("change", {bubbles: true}));
            }
        }, CLEAR_MS);
    };

    /* The webui handles pasted pictures itself. */
    document.addEventListener("paste", function (event) {
        if (ui.inWebui() || !event.clipboardData) {
            return;
        }
        const pictures = Array.from(event.clipboardData.files).filter((file) => file.type.startsWith("image/"));
        if (pictures.length > 0) {
            ui.setPortrait(pictures[0]);
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
        const button = event.target.closest && event.target.closest("button[data-webcam]");
        if (!button) {
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
