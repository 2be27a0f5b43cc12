// Shows the order's next status as soon as there is one, without a press.
"use strict";

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;
const ANSWER_WITHIN_MS = 8_000;

const order = document.querySelector("[data-order]");
const words = document.querySelector("[data-status-words]");
let wait = FIRST_WAIT_MS;
let timer = 0;

async function look() {
  try {
    const answer = await fetch(order.dataset.statusUrl, {
      cache: "no-store",
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    const now = await answer.json();
    if (now.status !== order.dataset.status) {
      window.location.reload();
      return;
    }
    words.textContent = "This page updates by itself.";
    if (now.is_final) return;
  } catch {
    words.textContent = "The shop does not answer just now. Your order is safe; we keep looking.";
  }
  wait = Math.min(wait * 1.5, LONGEST_WAIT_MS);
  lookLater();
}

function lookLater() {
  clearTimeout(timer);
  timer = setTimeout(look, wait);
}

if (order && order.dataset.final === "false") {
  lookLater();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      wait = FIRST_WAIT_MS;
      lookLater();
    }
  });
}

for (const time of document.querySelectorAll("time[data-time]")) {
  time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, {
    dateStyle: "long",
    timeStyle: "short",
  }).format(new Date(time.dateTime));
}
