/* Face picker: a click on a face chooses it, dragging draws a box; the field Face shows the choice. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.prepareFacePicker) {
        return;
    }

    /* A drawn box below this fraction of the picture is a click. */
    const MIN_BOX_FRACTION = 1 / 50;
    const SIDES = ["x", "y", "width", "height"];

    ui.prepareFacePicker = function (picker) {
        picker.dataset.ready = "1";
        const typed = ui.field("sadtalker_face");
        addDrawing(picker);
        for (const button of picker.querySelectorAll("button.st-face")) {
            button.addEventListener("click", () => choose(picker, button.dataset.face));
        }
        if (typed) {
            typed.addEventListener("input", () => highlight(picker, typed.value));
        }
        highlight(picker, picker.dataset.chosen);
    };

    function addDrawing(picker) {
        const canvas = picker.querySelector(".st-canvas");
        const rectangle = picker.querySelector(".st-drawn");
        const size = {width: Number(picker.dataset.width), height: Number(picker.dataset.height)};
        let start = null;

        canvas.addEventListener("pointerdown", function (event) {
            start = picturePoint(canvas, size, event);
            canvas.setPointerCapture(event.pointerId);
            event.preventDefault();
        });
        canvas.addEventListener("pointermove", function (event) {
            if (start) {
                setBox(rectangle, boxBetween(start, picturePoint(canvas, size, event)));
            }
        });
        canvas.addEventListener("pointerup", function (event) {
            if (!start) {
                return;
            }
            const clicked = start;
            const box = boxBetween(start, picturePoint(canvas, size, event));
            start = null;
            if (box[2] > size.width * MIN_BOX_FRACTION && box[3] > size.height * MIN_BOX_FRACTION) {
                choose(picker, box.join(","));
                return;
            }
            setBox(rectangle, [0, 0, 0, 0]);
            const face = faceAt(picker, clicked);
            if (face) {
                choose(picker, face.dataset.face);
            }
        });
        canvas.addEventListener("pointercancel", function () {
            start = null;
        });
    }

    /* Position of the pointer in pixels of the picture file. */
    function picturePoint(canvas, size, event) {
        const box = canvas.getBoundingClientRect();
        const x = (event.clientX - box.left) / box.width * size.width;
        const y = (event.clientY - box.top) / box.height * size.height;
        return {x: Math.min(Math.max(x, 0), size.width), y: Math.min(Math.max(y, 0), size.height)};
    }

    function boxBetween(a, b) {
        const x = Math.round(Math.min(a.x, b.x));
        const y = Math.round(Math.min(a.y, b.y));
        return [x, y, Math.round(Math.abs(a.x - b.x)), Math.round(Math.abs(a.y - b.y))];
    }

    function faceAt(picker, point) {
        return Array.from(picker.querySelectorAll(".st-face-box")).find(function (face) {
            const [x, y, width, height] = SIDES.map((name) => Number(face.getAttribute(name)));
            return point.x >= x && point.x <= x + width && point.y >= y && point.y <= y + height;
        });
    }

    function choose(picker, text) {
        ui.setText("sadtalker_face", text);
        highlight(picker, text);
    }

    function setBox(rectangle, box) {
        SIDES.forEach((name, index) => rectangle.setAttribute(name, box[index]));
    }

    /* Highlight the face or box that the value of the setting stands for. */
    function highlight(picker, text) {
        const box = text.split(",").map(Number);
        const isBox = box.length === 4 && box.every((number) => Number.isFinite(number) && number >= 0);
        setBox(picker.querySelector(".st-drawn"), isBox ? box : [0, 0, 0, 0]);
        for (const face of picker.querySelectorAll("[data-face]")) {
            const chosen = text.trim() === "largest" ? picker.dataset.largest : text.trim();
            face.classList.toggle("st-chosen", !isBox && face.dataset.face === chosen);
        }
    }

    (ui.updaters = ui.updaters || []).push(function (tab) {
        for (const picker of tab.querySelectorAll(".st-faces:not([data-ready])")) {
            ui.prepareFacePicker(picker);
        }
    });
})();
