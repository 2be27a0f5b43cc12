// A courtesy only: the server makes one order of any number of presses.
"use strict";

const STILL_WAITING_MS = 15_000;

for (const form of document.querySelectorAll("form[data-press-once]")) {
  const button = form.querySelector("button");
  const words = form.querySelector("[data-press-words]");
  if (!button) continue;
  const label = button.textContent;
  let timer = 0;
  let onItsWay = false;

  const offerAgain = () => {
    clearTimeout(timer);
    onItsWay = false;
    button.removeAttribute("aria-disabled");
    button.textContent = label;
  };

  form.addEventListener("submit", (event) => {
    if (onItsWay) {
      event.preventDefault();
      return;
    }
    onItsWay = true;
    button.setAttribute("aria-disabled", "true");
    button.textContent = form.dataset.busyLabel;
    timer = setTimeout(() => {
      offerAgain();
      words.textContent =
        "No answer yet. Your press may have arrived all the same, so pressing again is harmless: " +
        "it is the same purchase, placed once and charged once.";
    }, STILL_WAITING_MS);
  });

  window.addEventListener("pageshow", (event) => {
    if (event.persisted) offerAgain();
  });
}
