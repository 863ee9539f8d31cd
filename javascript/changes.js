/* Requests that follow a change on the page, such as a new portrait in which faces are looked for. One of a kind is sent
   at a time; what changes meanwhile is requested after the answer. Gradio 3 would drop it, the answers of Gradio 4 may
   overtake each other, and after a lost answer it stops sending. Events of the page (webui/change_events.py) call these
   functions with the id of the button that sends the request. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.changed) {
        return;
    }

    /* A request without an answer is repeated after this time if something has changed. */
    const ANSWER_TIMEOUT_MS = 15000;
    /* Gradio needs this long to store a field's new text. */
    const STORE_TEXT_MS = 50;
    const ACTION = "sadtalker_chosen_result";
    const sent = {};
    const actions = [];
    let action = null;

    ui.changed = function (button) {
        if (sent[button] && Date.now() - sent[button].at < ANSWER_TIMEOUT_MS) {
            sent[button].changed = true;
            return;
        }
        sent[button] = {at: Date.now(), changed: false};
        ui.press(button);
    };

    ui.answered = function (button) {
        const again = sent[button] && sent[button].changed;
        delete sent[button];
        if (again) {
            ui.changed(button);
        }
    };

    /* Show, compare or delete a result. These actions share the field with the name of the result, so that the next one
       is sent after the answer; of those that only show, the last one counts. */
    ui.requestAction = function (button, name) {
        const last = actions[actions.length - 1];
        if (last && last.button === button && button !== "sadtalker_delete_result") {
            last.name = name;
        } else {
            actions.push({button, name});
        }
        sendAction();
    };

    ui.actionAnswered = function () {
        action = null;
        sendAction();
    };

    function sendAction() {
        if (actions.length === 0 || action && Date.now() - action.at < ANSWER_TIMEOUT_MS) {
            return;
        }
        action = Object.assign({at: Date.now()}, actions.shift());
        ui.setText(ACTION, action.name);
        setTimeout(ui.press, STORE_TEXT_MS, action.button);
    }

    (ui.updaters = ui.updaters || []).push(function () {
        Object.keys(sent).filter((button) => sent[button].changed).forEach(ui.changed);
        sendAction();
    });
})();
