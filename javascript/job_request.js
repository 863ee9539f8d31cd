/* Values that the page adds to the request of a job: the id of the job, and the name of an uploaded voice.
   Events of the page (webui/tab.py) call these functions. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.beforeRequest) {
        return;
    }

    /* A second press within this time repeats an unanswered request. */
    const REPEAT_MS = 15000;
    const request = {jobId: "", startedAt: 0};
    const voice = {data: "", name: "", pendingUploads: 0};

    function randomId() {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }

    /* Called with the values of a request before it is sent. The page chooses the job id, so that Interrupt can name the
       job before the request is answered; a second press before the answer sends the same id, which makes one job. */
    ui.beforeRequest = function (values) {
        if (request.jobId === "" || Date.now() - request.startedAt > REPEAT_MS) {
            request.jobId = randomId();
            request.startedAt = Date.now();
        }
        ui.rememberInputs();
        return [request.jobId].concat(values.slice(1).map(replaceUploadedVoice));
    };

    /* Called when the request has been answered. */
    ui.afterRequest = function () {
        request.jobId = "";
        ui.showErrorAgain();
    };

    /* Milliseconds since a request was sent that has not been answered; 0 if there is none. */
    ui.requestAgeMs = () => request.jobId === "" ? 0 : Math.max(1, Date.now() - request.startedAt);

    ui.jobToInterrupt = (shownJobId) => request.jobId || shownJobId;

    /* Called when the user chose a voice; its upload starts. */
    ui.voiceChosen = function (audio) {
        voice.data = audio && audio.data || "";
        voice.name = "";
        voice.pendingUploads += 1;
    };

    /* Called with the name of a voice on the server when its upload is complete. */
    ui.voiceUploaded = function (name) {
        voice.pendingUploads -= 1;
        voice.name = voice.pendingUploads === 0 ? name : "";
    };

    function replaceUploadedVoice(value) {
        const uploaded = value && voice.name && voice.data && value.data === voice.data;
        return uploaded ? {name: voice.name, data: null, is_file: true} : value;
    }
})();
