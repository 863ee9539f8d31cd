/* Progress of the job: polling, the webui's progress bar, feedback of the buttons, and a server that does not answer. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.poll) {
        return;
    }

    /* A request without an answer is repeated after this time. */
    const ANSWER_TIMEOUT_MS = 15000;
    const MAX_PAUSE_MS = 2000;
    /* A request that failed is repeated after this time. */
    const RETRY_MS = 3000;
    /* While a request has had no answer for this long, the page checks whether the server still runs. */
    const CHECK_AFTER_MS = 3000;
    const CHECK_EVERY_MS = 2000;
    const SERVER_GONE = "The server does not answer. If it was closed, start it again; this page then continues.";
    let requestedAt = 0;
    let answeredAt = 0;
    let waiting = false;
    let repeatAt = 0;
    let ended = false;
    let checkedAt = 0;
    let shownStamp = "";
    let followedJob = "";
    const judged = {error: null, inputs: "", requested: "", answered: false};

    /* Request the next state while a progress bar is shown, one request at a time. Every answer has another stamp, so a
       new stamp means that the answer has arrived. The pause after an answer is as long as the answer took, so that a
       large page on a busy machine is not overloaded. While the server is gone, only the check for it is repeated. */
    ui.poll = function (bar) {
        const now = Date.now();
        if (ui.root().querySelector("#sadtalker_outputs .st-server-gone")) {
            checkServer(now);
            return;
        }
        if (bar.dataset.busy !== shownStamp) {
            shownStamp = bar.dataset.busy;
            answeredAt = now;
            waiting = false;
        }
        const pause = Math.min(Math.max(answeredAt - requestedAt, 0), MAX_PAUSE_MS);
        if (waiting ? now > repeatAt : !requestedAt || now - answeredAt >= pause) {
            requestedAt = now;
            repeatAt = now + ANSWER_TIMEOUT_MS;
            waiting = true;
            ended = false;
            ui.press("sadtalker_poll");
        }
        if (waiting && (ended || now - requestedAt > CHECK_AFTER_MS)) {
            checkServer(now);
        }
    };

    /* Called when a request of the state was answered or failed; an answer changes the stamp. */
    ui.pollAnswered = function () {
        ended = true;
        repeatAt = Math.min(repeatAt, Date.now() + RETRY_MS);
    };

    /* Show a message while the server does not answer; ask for the state again as soon as it does. */
    function checkServer(now) {
        if (now - checkedAt < CHECK_EVERY_MS) {
            return;
        }
        checkedAt = now;
        fetch(window.location.pathname, {method: "HEAD", cache: "no-store"}).then(function () {
            if (showServerGone(false)) {
                waiting = false;
                requestedAt = 0;
            }
        }).catch(() => showServerGone(true));
    }

    /* Show or remove the message; return whether it was shown before. */
    function showServerGone(gone) {
        const shown = ui.root().querySelector("#sadtalker_outputs .st-server-gone");
        if (gone && !shown) {
            const line = document.createElement("div");
            line.className = "st-message st-error st-server-gone";
            line.setAttribute("role", "alert");
            line.textContent = SERVER_GONE;
            ui.element("sadtalker_outputs").prepend(line);
        } else if (!gone && shown) {
            shown.remove();
        }
        return shown !== null;
    }

    /* Let the webui show its own progress, with the place in the queue. */
    function showWebuiProgress(tab) {
        const job = ui.field("sadtalker_job_id");
        if (typeof requestProgress !== "function" || !job || !job.value || job.value === followedJob) {
            return;
        }
        followedJob = job.value;
        requestProgress(followedJob, ui.element("sadtalker_progress"), null, function () {}, function () {});
    }

    /* Whether the webui shows a bar in the tab, which replaces the page's bar; SD.Next shows its progress elsewhere. */
    function hasWebuiBar(tab) {
        const bar = tab.querySelector(".progressDiv");
        return bar !== null && bar.style.display !== "none";
    }

    /* Load what has changed each time the tab comes into view, such as videos that the script made meanwhile. */
    function refreshWhenShown(tab) {
        const visible = tab.offsetParent !== null;
        if (visible && !tab.dataset.opened) {
            ui.press("sadtalker_refresh");
        }
        tab.dataset.opened = visible ? "1" : "";
    }

    /* A message such as "Choose a voice first" is hidden when the inputs change; a new answer shows it again. Messages
       that answer a request are about the inputs at the time of the request, which may have changed since. */
    ui.hideOutdatedError = function (tab) {
        const error = tab.querySelector("#sadtalker_progress .st-error");
        const inputs = inputState(tab);
        if (error !== judged.error) {
            judged.error = error;
            judged.inputs = judged.requested || inputs;
        }
        if (judged.answered) {
            judged.requested = "";
            judged.answered = false;
        }
        if (error && inputs !== judged.inputs) {
            error.style.display = "none";
        }
    };

    /* Called when a job is requested. */
    ui.rememberInputs = function () {
        const tab = ui.element("tab_sadtalker");
        judged.requested = tab ? inputState(tab) : "";
        judged.answered = false;
    };

    /* Called when the request of a job has been answered. */
    ui.showErrorAgain = function () {
        if (judged.error) {
            judged.error.style.display = "";
        }
        judged.error = null;
        judged.answered = true;
    };

    /* Text that changes when the user changes an input. */
    function inputState(tab) {
        const text = (selector) => (tab.querySelector(selector) || {}).textContent || "";
        const source = tab.querySelector("#sadtalker_voice_source input:checked");
        const picture = tab.querySelector("#sadtalker_faces .st-canvas img");
        const written = ui.field("sadtalker_text");
        const face = ui.field("sadtalker_face");
        return [
            text("#sadtalker_faces"), picture && picture.src.length, face && face.value, text("#sadtalker_voice_note"),
            source && source.value, written && written.value,
        ].join("|");
    }

    /* Show Interrupt or Generate. The keyboard's focus leaves the button that is hidden: to the progress, or back. */
    function setBusy(tab, busy) {
        const hidden = ui.element(busy ? "sadtalker_generate" : "sadtalker_interrupt");
        const hadFocus = document.activeElement === hidden;
        tab.classList.toggle("st-busy", busy);
        if (hadFocus) {
            const target = ui.element(busy ? "sadtalker_outputs" : "sadtalker_generate");
            if (busy) {
                target.tabIndex = -1;
            }
            target.focus({preventScroll: true});
        }
    }

    (ui.updaters = ui.updaters || []).push(function (tab) {
        ui.hideOutdatedError(tab);
        refreshWhenShown(tab);
        showWebuiProgress(tab);
        tab.classList.toggle("st-webui-progress", hasWebuiBar(tab));
        const bar = tab.querySelector("#sadtalker_progress [data-busy]");
        const anyBar = bar || tab.querySelector("[data-busy]");
        const requestMs = ui.requestAgeMs ? ui.requestAgeMs() : 0;
        setBusy(tab, bar !== null || requestMs > 0);
        if (anyBar) {
            ui.poll(anyBar);
        } else {
            requestedAt = answeredAt = 0;
            waiting = false;
            if (requestMs > CHECK_AFTER_MS) {
                checkServer(Date.now());
            } else {
                showServerGone(false);
            }
        }
    });

    /* Show that a button was pressed before the answer arrives. */
    document.addEventListener("click", function (event) {
        const pressed = event.target.closest && event.target.closest("#sadtalker_generate, #sadtalker_interrupt");
        if (!pressed) {
            return;
        }
        ui.showOutputs();
        if (pressed.id === "sadtalker_generate") {
            setBusy(ui.element("tab_sadtalker"), true);
            return;
        }
        const bar = ui.element("sadtalker_progress").querySelector("[data-stopping]");
        if (bar) {
            bar.dataset.stopped = "1";
            bar.querySelector(".st-text").textContent = bar.dataset.stopping;
        }
    }, true);
})();
