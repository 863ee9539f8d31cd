/* Progress of the job: polling, the webui's progress bar, and immediate feedback of Interrupt. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.poll) {
        return;
    }

    /* A request without an answer is repeated after this time. */
    const ANSWER_TIMEOUT_MS = 15000;
    const MAX_PAUSE_MS = 2000;
    let requestedAt = 0;
    let answeredAt = 0;
    let shownStamp = "";
    let followedJob = "";

    /* Request the next state while a progress bar is shown, one request at a time. Every answer has another stamp, so a
       new stamp means that the answer has arrived. The pause after an answer is as long as the answer took, so that a
       large page on a busy machine is not overloaded. */
    ui.poll = function (bar) {
        const now = Date.now();
        if (bar.dataset.busy !== shownStamp) {
            shownStamp = bar.dataset.busy;
            answeredAt = now;
        }
        const waiting = requestedAt > answeredAt;
        const pause = Math.min(Math.max(answeredAt - requestedAt, 0), MAX_PAUSE_MS);
        if (waiting ? now - requestedAt > ANSWER_TIMEOUT_MS : !requestedAt || now - answeredAt >= pause) {
            requestedAt = now;
            ui.press("sadtalker_poll");
        }
    };

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

    (ui.updaters = ui.updaters || []).push(function (tab) {
        if (tab.offsetParent !== null && !tab.dataset.opened) {
            tab.dataset.opened = "1";
            ui.press("sadtalker_refresh");
        }
        showWebuiProgress(tab);
        tab.classList.toggle("st-webui-progress", hasWebuiBar(tab));
        const bar = tab.querySelector("[data-busy]");
        if (bar) {
            ui.poll(bar);
        } else {
            requestedAt = answeredAt = 0;
        }
    });

    /* Show that Interrupt was pressed before the answer arrives. */
    document.addEventListener("click", function (event) {
        const pressed = event.target.closest && event.target.closest("#sadtalker_interrupt");
        const bar = pressed && ui.element("sadtalker_progress").querySelector("[data-stopping]");
        if (bar) {
            bar.dataset.stopped = "1";
            bar.querySelector(".st-text").textContent = bar.dataset.stopping;
        }
    }, true);
})();
