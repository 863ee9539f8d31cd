/* Recorder of the voice, with level and timer; the recording is put into the input of the voice as a WAV file. */
(function () {
    "use strict";
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};
    if (ui.encodeWav) {
        return;
    }

    const VOICE = "sadtalker_voice";
    const LONGEST_MS = 10 * 60 * 1000;
    const UPDATE_MS = 100;
    /* Sound of this amplitude fills the level: normal speech close to the microphone. */
    const FULL_LEVEL = 0.5;
    const START_VIEW = '<div class="st-row"><button type="button" class="st-button" data-recorder="begin">Record</button>' +
        '<span class="st-text">Press Record, speak, then press Stop.</span></div>';
    const RECORDING_VIEW = '<div class="st-row"><button type="button" class="st-button" data-recorder="end">Stop</button>' +
        '<span class="st-timer" role="timer">0:00</span>' +
        '<div class="st-level" role="img" aria-label="Level of the microphone"><div></div></div></div>';
    let session = null;

    /* Return samples between -1 and 1 as a WAV file of 16 bits, one channel. */
    ui.encodeWav = function (samples, rateHz) {
        const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
        const text = (at, letters) => Array.from(letters).forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
        text(0, "RIFF");
        view.setUint32(4, 36 + 2 * samples.length, true);
        text(8, "WAVEfmt ");
        view.setUint32(16, 16, true);
        view.setUint16(20, 1, true);
        view.setUint16(22, 1, true);
        view.setUint32(24, rateHz, true);
        view.setUint32(28, 2 * rateHz, true);
        view.setUint16(32, 2, true);
        view.setUint16(34, 16, true);
        text(36, "data");
        view.setUint32(40, 2 * samples.length, true);
        samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true));
        return new Blob([view], {type: "audio/wav"});
    };

    function begin(place) {
        if (!navigator.mediaDevices) {
            showError(place, "The browser allows the microphone only on this machine or over https.");
            return;
        }
        navigator.mediaDevices.getUserMedia({audio: true}).then(function (stream) {
            const audio = new AudioContext();
            const meter = audio.createAnalyser();
            audio.createMediaStreamSource(stream).connect(meter);
            const recorder = new MediaRecorder(stream);
            const parts = [];
            recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
            recorder.addEventListener("stop", () => finish(place, audio, stream, new Blob(parts)));
            recorder.start();
            place.innerHTML = RECORDING_VIEW;
            const timer = setInterval(() => update(place, meter), UPDATE_MS);
            session = {recorder, timer, startedAt: Date.now()};
        }).catch(() => showError(place, "No microphone is available to this page. Allow it in the browser, or connect one."));
    }

    function update(place, meter) {
        const samples = new Float32Array(meter.fftSize);
        meter.getFloatTimeDomainData(samples);
        const level = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const passedS = Math.floor((Date.now() - session.startedAt) / 1000);
        place.querySelector(".st-level > div").style.width = `${Math.min(100, 100 * level / FULL_LEVEL)}%`;
        place.querySelector(".st-timer").textContent =
            `${Math.floor(passedS / 60)}:${String(passedS % 60).padStart(2, "0")}`;
        if (Date.now() - session.startedAt > LONGEST_MS) {
            end();
        }
    }

    function end() {
        if (session && session.recorder.state !== "inactive") {
            clearInterval(session.timer);
            session.recorder.stop();
        }
    }

    function finish(place, audio, stream, recorded) {
        stream.getTracks().forEach((track) => track.stop());
        place.innerHTML = START_VIEW;
        session = null;
        recorded.arrayBuffer().then((data) => audio.decodeAudioData(data)).then(function (sound) {
            const wav = ui.encodeWav(sound.getChannelData(0), sound.sampleRate);
            ui.setFile(VOICE, new File([wav], "recording.wav", {type: "audio/wav"}));
        }).catch(() => showError(place, "The recording is empty; record again.")).finally(() => audio.close());
    }

    function showError(place, text) {
        place.innerHTML = START_VIEW;
        const line = place.appendChild(document.createElement("div"));
        line.className = "st-message st-error";
        line.setAttribute("role", "alert");
        line.textContent = text;
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("button[data-recorder]");
        if (button && button.dataset.recorder === "begin") {
            begin(button.closest(".st-recorder"));
        } else if (button) {
            end();
        }
    });
})();
