/* The page's own movements: looking how far a job is, choosing a face, choosing a result, coming from other tabs. */
(function () {
    "use strict";
    if (window.sadtalkerPage) {
        return;
    }
    window.sadtalkerPage = true;

    const EVERY_MS = 400;
    const LATE_MS = 15000;
    let asked = 0;
    let answered = 0;
    let shown = "";

    function page() {
        return typeof gradioApp === "function" ? gradioApp() : document;
    }

    function part(id) {
        return page().querySelector("#" + id);
    }

    function field(id) {
        return page().querySelector("#" + id + " textarea, #" + id + " input");
    }

    function press(id) {
        const found = part(id);
        const button = found && found.tagName !== "BUTTON" ? found.querySelector("button") : found;
        if (button) {
            button.click();
        }
    }

    function write(id, text) {
        const target = field(id);
        if (!target) {
            return;
        }
        target.value = text;
        target.dispatchEvent(new Event("input", {bubbles: true}));
    }

    /* The webui has a progress bar of its own, with its place in the queue: it takes the place of ours. */
    let followed = "";
    function follow(tab) {
        const job = field("sadtalker_job");
        if (typeof requestProgress !== "function" || !job || !job.value || job.value === followed) {
            return;
        }
        followed = job.value;
        tab.classList.add("st-host");
        requestProgress(followed, part("sadtalker_progress"), null, function () {}, function () {});
    }

    /* While something is being made the page looks how far it is, one question at a time: every answer bears another
       stamp. A page that takes long over an answer, as a large one on a busy machine does, gets as long to rest. */
    function look(busy) {
        const now = Date.now();
        if (busy.dataset.busy !== shown) {
            shown = busy.dataset.busy;
            answered = now;
        }
        const waiting = asked > answered;
        const took = Math.min(Math.max(answered - asked, 0), LATE_MS);
        if (waiting ? now - asked > LATE_MS : !asked || now - answered >= Math.min(took, EVERY_MS * 5)) {
            asked = now;
            press("sadtalker_poll");
        }
    }

    function tick() {
        const tab = part("tab_sadtalker");
        if (!tab) {
            return;
        }
        if (tab.offsetParent !== null && !tab.dataset.opened) {
            tab.dataset.opened = "1";
            press("sadtalker_refresh");
        }
        follow(tab);
        const busy = tab.querySelector("[data-busy]");
        if (busy) {
            look(busy);
        } else {
            asked = answered = 0;
        }
        for (const view of tab.querySelectorAll(".st-faces:not([data-ready])")) {
            prepareFaces(view);
        }
    }

    /* The picture with its faces: a click takes one, dragging draws a box; the field beside it takes both. */
    function prepareFaces(view) {
        view.dataset.ready = "1";
        const canvas = view.querySelector(".st-canvas");
        const hand = view.querySelector(".st-hand");
        const size = {width: Number(view.dataset.width), height: Number(view.dataset.height)};
        let from = null;

        function place(event) {
            const box = canvas.getBoundingClientRect();
            const x = (event.clientX - box.left) / box.width * size.width;
            const y = (event.clientY - box.top) / box.height * size.height;
            return {x: Math.min(Math.max(x, 0), size.width), y: Math.min(Math.max(y, 0), size.height)};
        }

        function drawn(to) {
            const x = Math.round(Math.min(from.x, to.x));
            const y = Math.round(Math.min(from.y, to.y));
            return [x, y, Math.round(Math.abs(from.x - to.x)), Math.round(Math.abs(from.y - to.y))];
        }

        function choose(text) {
            write("sadtalker_face", text);
            mark(view, text);
        }

        canvas.addEventListener("pointerdown", function (event) {
            from = place(event);
            canvas.setPointerCapture(event.pointerId);
            event.preventDefault();
        });
        canvas.addEventListener("pointermove", function (event) {
            if (from) {
                outline(hand, drawn(place(event)));
            }
        });
        canvas.addEventListener("pointerup", function (event) {
            if (!from) {
                return;
            }
            const box = drawn(place(event));
            const start = from;
            from = null;
            if (box[2] > size.width / 50 && box[3] > size.height / 50) {
                choose(box.join(","));
                return;
            }
            outline(hand, [0, 0, 0, 0]);
            for (const face of view.querySelectorAll(".st-face-box")) {
                const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(face.getAttribute(name)));
                if (start.x >= x && start.x <= x + width && start.y >= y && start.y <= y + height) {
                    choose(face.dataset.face);
                    return;
                }
            }
        });
        canvas.addEventListener("pointercancel", function () {
            from = null;
        });
        for (const button of view.querySelectorAll("button.st-face")) {
            button.addEventListener("click", function () {
                choose(button.dataset.face);
            });
        }
        const typed = field("sadtalker_face");
        if (typed) {
            typed.addEventListener("input", function () {
                mark(view, typed.value);
            });
        }
        mark(view, view.dataset.chosen);
    }

    function outline(rectangle, box) {
        ["x", "y", "width", "height"].forEach((name, index) => rectangle.setAttribute(name, box[index]));
    }

    function mark(view, text) {
        const box = text.split(",").map(Number);
        const byHand = box.length === 4 && box.every((number) => Number.isFinite(number) && number >= 0);
        outline(view.querySelector(".st-hand"), byHand ? box : [0, 0, 0, 0]);
        for (const face of view.querySelectorAll("[data-face]")) {
            const index = text.trim() === "largest" ? "0" : text.trim();
            face.classList.toggle("st-chosen", !byHand && face.dataset.face === index);
        }
    }

    /* An order bears a ticket of ours, so that an Interrupt goes out at once, before the page is told its job; a double
       click is one order. */
    const DOUBLE_CLICK_MS = 1000;
    const order = {ticket: "", begun: 0};

    function newTicket() {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }

    /* Gradio calls these with the values that it is about to send, and when the order is answered. */
    window.sadtalkerOrder = function (values) {
        if (order.ticket === "" || Date.now() - order.begun > DOUBLE_CLICK_MS) {
            order.ticket = newTicket();
            order.begun = Date.now();
        }
        return [order.ticket].concat(values.slice(1).map(early));
    };
    window.sadtalkerAnswered = function () {
        order.ticket = "";
    };
    window.sadtalkerStop = (job) => order.ticket || job;

    /* A voice that has gone to the server already is sent as a path. */
    const voice = {data: "", path: "", under_way: 0};
    window.sadtalkerSent = function (sound) {
        voice.data = sound && sound.data || "";
        voice.path = "";
        voice.under_way += 1;
    };
    window.sadtalkerKept = function (path) {
        voice.under_way -= 1;
        voice.path = voice.under_way === 0 ? path : "";
    };
    function early(value) {
        const same = value && voice.path && value.data && value.data === voice.data;
        return same ? {name: voice.path, data: null, is_file: true} : value;
    }

    /* Interrupt is seen at once, before the answer comes. */
    document.addEventListener("click", function (event) {
        const pressed = event.target.closest && event.target.closest("#sadtalker_interrupt");
        const busy = pressed && part("sadtalker_progress").querySelector("[data-stopping]");
        if (busy) {
            busy.dataset.stopped = "1";
            busy.querySelector(".st-words").textContent = busy.dataset.stopping;
        }
    }, true);

    document.addEventListener("click", function (event) {
        const card = event.target.closest && event.target.closest("button.st-result");
        if (card) {
            write("sadtalker_pick", card.dataset.name);
            setTimeout(() => press("sadtalker_show"), 50);
        }
    });

    /* Put a picture into the field of the portrait, in place of the one that is there. */
    function takePicture(file) {
        const portrait = part("sadtalker_portrait");
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
        }, 150);
    }

    /* The webui has its own paste; alone, a pasted picture becomes the portrait. */
    document.addEventListener("paste", function (event) {
        if (typeof gradioApp === "function" || !event.clipboardData) {
            return;
        }
        const pictures = Array.from(event.clipboardData.files).filter((file) => file.type.startsWith("image/"));
        if (pictures.length > 0) {
            takePicture(pictures[0]);
        }
    });

    /* A webcam that is asked for only when its button is pressed. */
    function webcam(view, step) {
        const running = view.querySelector("video");
        if (step === "begin") {
            if (!navigator.mediaDevices) {
                say(view, "The browser offers the webcam only to pages on this machine or over https.");
                return;
            }
            navigator.mediaDevices.getUserMedia({video: true}).then(function (stream) {
                view.innerHTML = '<video autoplay muted playsinline></video><div class="st-row">' +
                    '<button type="button" class="st-button" data-webcam="take">Take the picture</button>' +
                    '<button type="button" class="st-button" data-webcam="end">Close</button></div>';
                view.querySelector("video").srcObject = stream;
            }).catch(function () {
                say(view, "There is no webcam that this page may use.");
            });
            return;
        }
        if (step === "take" && running && running.videoWidth) {
            const canvas = document.createElement("canvas");
            canvas.width = running.videoWidth;
            canvas.height = running.videoHeight;
            canvas.getContext("2d").drawImage(running, 0, 0);
            canvas.toBlob((blob) => takePicture(new File([blob], "webcam.png", {type: "image/png"})), "image/png");
        }
        if (running) {
            running.srcObject.getTracks().forEach((track) => track.stop());
        }
        view.innerHTML = '<button type="button" class="st-button" data-webcam="begin">Use the webcam</button>';
    }

    function say(view, words) {
        const line = view.querySelector(".st-words") || view.appendChild(document.createElement("div"));
        line.className = "st-words";
        line.setAttribute("role", "alert");
        line.textContent = words;
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("button[data-webcam]");
        if (button) {
            webcam(button.closest(".st-webcam"), button.dataset.webcam);
        }
    });

    /* The webui calls this when a picture is sent here from another tab. */
    window.switch_to_sadtalker = function () {
        const tab = part("tab_sadtalker");
        const all = tab ? Array.from(tab.parentElement.children).filter((child) => child.classList.contains("tabitem")) : [];
        const buttons = page().querySelectorAll("#tabs > .tab-nav > button, #tabs > .tab-nav-wrapper button, #tabs button[role=tab]");
        const named = Array.from(buttons).find((button) => button.textContent.trim() === "SadTalker");
        const target = named || buttons[all.indexOf(tab)];
        if (target) {
            target.click();
        }
        return Array.from(arguments);
    };

    setInterval(tick, EVERY_MS);
})();
