/* Navigation: the gallery of earlier results, and the switch to the SadTalker tab from other tabs of the webui. */
(function () {
    "use strict";
    if (window.switch_to_sadtalker) {
        return;
    }
    const ui = window.sadtalkerUi = window.sadtalkerUi || {};

    /* A second press within this time deletes a result. */
    const CONFIRM_MS = 4000;
    const MADE = /SadTalker made (.+?\.mp4)/;

    /* The gallery that a pressed button will replace, and what in the new one gets the keyboard's focus then. */
    let left = null;

    function send(button, name) {
        ui.requestAction("sadtalker_" + button, name);
    }

    function leave(target) {
        left = {cards: ui.element("sadtalker_gallery").querySelector(".st-gallery"), target};
    }

    /* On the first and last page, one of the buttons is disabled. */
    function pageButton(gallery, name) {
        return gallery.querySelector(`[data-page=${name}]:enabled`) || gallery.querySelector("nav :enabled");
    }

    /* The result at the place of a deleted one, or the last one. */
    function resultAt(gallery, number) {
        const results = gallery.querySelectorAll(".st-result");
        return results[Math.min(number, results.length - 1)];
    }

    function confirmDeletion(button, name) {
        if (button.dataset.asked) {
            const number = Array.from(button.closest("ul").children).indexOf(button.closest("li"));
            leave((gallery) => resultAt(gallery, number));
            send("delete_result", name);
            return;
        }
        button.dataset.asked = "1";
        button.textContent = "Delete?";
        setTimeout(function () {
            delete button.dataset.asked;
            button.textContent = "Delete";
        }, CONFIRM_MS);
    }

    function compare(action) {
        const videos = Array.from(ui.element("sadtalker_videos").querySelectorAll("video"));
        if (action === "close") {
            send("compare_result", "");
            return;
        }
        videos.forEach(function (video) {
            video.currentTime = 0;
            video.play();
        });
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("button[data-result], button[data-compare]");
        if (!button) {
            return;
        }
        if (button.dataset.compare) {
            compare(button.dataset.compare);
            return;
        }
        const name = button.dataset.name || button.closest(".st-card").dataset.name;
        if (button.dataset.result === "delete") {
            confirmDeletion(button, name);
        } else if (button.dataset.result === "page") {
            leave((gallery) => pageButton(gallery, button.dataset.page));
            send("page_result", name);
        } else {
            send(button.dataset.result + "_result", name);
            ui.showOutputs();
        }
    });

    /* In a narrow window the result is below the inputs. */
    ui.showOutputs = function () {
        const outputs = ui.element("sadtalker_outputs");
        if (outputs.getBoundingClientRect().top > window.innerHeight / 2 || outputs.getBoundingClientRect().top < 0) {
            outputs.scrollIntoView({behavior: "smooth", block: "start"});
        }
    };

    /* The webui calls this function by its name when a picture is sent to the tab. */
    window.switch_to_sadtalker = function () {
        const tab = ui.element("tab_sadtalker");
        const siblings = tab ? Array.from(tab.parentElement.children) : [];
        const tabs = siblings.filter((child) => child.classList.contains("tabitem"));
        const buttons = ui.root().querySelectorAll(
            "#tabs > .tab-nav > button, #tabs > .tab-nav-wrapper button, #tabs button[role=tab]");
        const named = Array.from(buttons).find((button) => button.textContent.trim() === "SadTalker");
        const target = named || buttons[tabs.indexOf(tab)];
        if (target) {
            target.click();
        }
        return Array.from(arguments);
    };

    (ui.updaters = ui.updaters || []).push(function (tab) {
        const gallery = tab.querySelector("#sadtalker_gallery");
        if (left === null || gallery.querySelector(".st-gallery") === left.cards) {
            return;
        }
        const target = left.target(gallery) || ui.element("sadtalker_generate");
        left = null;
        if (document.activeElement === document.body) {
            target.focus({preventScroll: true});
        }
    });

    /* Mark the card of the shown result, which cannot be compared with itself. */
    (ui.updaters = ui.updaters || []).push(function (tab) {
        const field = ui.field("sadtalker_shown_result");
        for (const card of tab.querySelectorAll(".st-card")) {
            const isShown = field !== null && card.dataset.name === field.value;
            card.classList.toggle("st-shown", isShown);
            card.querySelector(".st-result").setAttribute("aria-current", String(isShown));
        }
    });

    /* Add a button to the comments on a generation in which the script names the videos that it made.
     * SD.Next gives their paragraph no class. */
    (ui.updaters = ui.updaters || []).push(function () {
        for (const comments of ui.root().querySelectorAll("[id^=html_log_] p:not([data-sadtalker])")) {
            comments.dataset.sadtalker = "1";
            const names = comments.innerText.split("\n").map((line) => MADE.exec(line)).filter(Boolean);
            for (const [, name] of names) {
                const button = comments.appendChild(document.createElement("button"));
                button.type = "button";
                button.className = "lg secondary gradio-button st-open-result";
                button.textContent = `Play ${name.split("/").pop()} in the SadTalker tab`;
                button.dataset.result = "show";
                button.dataset.name = name;
                button.addEventListener("click", () => window.switch_to_sadtalker());
            }
        }
    });
})();
