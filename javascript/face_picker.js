/* Face picker, on the portrait itself: a marker or its number chooses a face, dragging draws a box. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.prepareFacePicker) {
        return;
    }

    /* A drawn box below this fraction of the picture is a click. */
    const MIN_BOX_FRACTION = 1 / 50;
    const SIDES = ["x", "y", "width", "height"];
    const LARGEST = "largest";

    ui.prepareFacePicker = function (picker) {
        picker.dataset.ready = "1";
        setDrawing(picker, picker.dataset.count === "0");
        addDrawing(picker);
        const field = ui.field("sadtalker_face");
        if (picker.dataset.count === "0" && field && field.value === LARGEST) {
            ui.setText("sadtalker_face", "");
        }
        picker.addEventListener("click", function (event) {
            const button = event.target.closest("button");
            if (button && button.dataset.face) {
                choose(picker, button.dataset.face);
            } else if (button && button.dataset.box === "draw") {
                setDrawing(picker, !picker.classList.contains("st-drawing"));
            } else if (button && button.dataset.box === "remove") {
                choose(picker, picker.dataset.before || (picker.dataset.count === "0" ? "" : LARGEST));
            }
        });
    };

    /* With a finger, a box is drawn only after "Draw a box" was pressed, so that the page can be scrolled. */
    function setDrawing(picker, drawing) {
        picker.classList.toggle("st-drawing", drawing);
        const button = picker.querySelector("[data-box=draw]");
        if (button) {
            button.setAttribute("aria-pressed", String(drawing));
        }
    }

    function addDrawing(picker) {
        const canvas = picker.querySelector(".st-canvas");
        const rectangle = picker.querySelector(".st-drawn");
        const size = {width: Number(picker.dataset.width), height: Number(picker.dataset.height)};
        let start = null;

        canvas.addEventListener("pointerdown", function (event) {
            const draws = event.pointerType === "mouse" || picker.classList.contains("st-drawing");
            if (draws && !event.target.closest("button")) {
                start = picturePoint(canvas, size, event);
                canvas.setPointerCapture(event.pointerId);
                event.preventDefault();
            }
        });
        canvas.addEventListener("pointermove", function (event) {
            if (start) {
                setBox(rectangle, boxBetween(start, picturePoint(canvas, size, event)));
            }
        });
        canvas.addEventListener("pointerup", function (event) {
            if (event.target.closest("button")) {
                return;
            }
            const end = picturePoint(canvas, size, event);
            const box = boxBetween(start || end, end);
            start = null;
            if (box[2] > size.width * MIN_BOX_FRACTION && box[3] > size.height * MIN_BOX_FRACTION) {
                choose(picker, box.join(","));
                setDrawing(picker, false);
                return;
            }
            const face = faceAt(picker, end);
            choose(picker, face ? face.dataset.face : picker.dataset.shown);
        });
        canvas.addEventListener("pointercancel", function () {
            start = null;
            highlight(picker, picker.dataset.shown);
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
        picker.dataset.shown = text;
        if (!isBox) {
            picker.dataset.before = text;
        }
        picker.classList.toggle("st-has-box", isBox);
        setBox(picker.querySelector(".st-drawn"), isBox ? box : [0, 0, 0, 0]);
        const chosen = text.trim() === LARGEST ? picker.dataset.largest : text.trim();
        for (const face of picker.querySelectorAll("[data-face]")) {
            const isChosen = !isBox && face.dataset.face === chosen;
            face.classList.toggle("st-chosen", isChosen);
            if (face.tagName === "BUTTON") {
                face.setAttribute("aria-pressed", String(isChosen));
            }
        }
    }

    /* A picker is prepared at the next tick of the timer, or when it is used before. */
    for (const kind of ["pointerdown", "click"]) {
        document.addEventListener(kind, function (event) {
            const picker = event.target.closest && event.target.closest(".st-faces:not([data-ready])");
            if (picker) {
                ui.prepareFacePicker(picker);
            }
        }, true);
    }

    (ui.updaters = ui.updaters || []).push(function (tab) {
        const field = ui.field("sadtalker_face");
        for (const picker of tab.querySelectorAll(".st-faces")) {
            if (!picker.dataset.ready) {
                ui.prepareFacePicker(picker);
            }
            if (field && field.value !== picker.dataset.shown) {
                highlight(picker, field.value);
            }
        }
    });
})();
