// Keeps the figures fresh, and presses buttons without leaving the page. Without it, forms do both.
(function () {
  "use strict";

  const LOOK_EVERY_MS = 1000;
  // Whoever listens to the page is told of a change, and not of each tick.
  const SAY_EVERY_MS = 10000;

  const answer = document.getElementById("answer");
  const inWords = document.getElementById("in-words");
  const PARTS = ["workflows", "verdict", "state", "figures", "events", "processes", "purchases", "picture"];
  const shown = {};
  const AWAY = "The demo does not answer. Was it ended?";
  let saidAt = 0;

  function nameOf(element) {
    const action = element.form ? element.form.getAttribute("action") : "";
    return element.getAttribute("href") || action || element.tagName;
  }

  // What has the focus keeps it.
  function show(name, html) {
    const place = document.getElementById(name);
    if (shown[name] === html) return;
    const focused = place.contains(document.activeElement) ? nameOf(document.activeElement) : "";
    place.innerHTML = html;
    shown[name] = html;
    if (!focused) return;
    const again = Array.from(place.querySelectorAll("a, button, [tabindex]")).find(function (element) {
      return nameOf(element) === focused;
    });
    if (again) again.focus({ preventScroll: true });
  }

  function say(words) {
    if (words === inWords.textContent || Date.now() - saidAt < SAY_EVERY_MS) return;
    inWords.textContent = words;
    saidAt = Date.now();
  }

  document.getElementById("without").hidden = true;

  async function look() {
    try {
      const reply = await fetch("/parts" + location.search, { headers: { Accept: "application/json" } });
      const parts = await reply.json();
      PARTS.forEach(function (name) { show(name, parts[name]); });
      say(parts.in_words);
      document.body.classList.remove("away");
      if (answer.textContent === AWAY) answer.textContent = parts.said;
    } catch (error) {
      document.body.classList.add("away");
      answer.textContent = AWAY;
    }
  }

  async function press(form, button) {
    button.setAttribute("aria-disabled", "true");
    answer.textContent = button.textContent.trim() + " …";
    try {
      const reply = await fetch(form.action, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
      });
      const told = await reply.json();
      answer.textContent = told.said;
    } catch (error) {
      answer.textContent = "The demo did not answer.";
    } finally {
      button.removeAttribute("aria-disabled");
    }
    await look();
  }

  document.addEventListener("submit", function (event) {
    const button = event.submitter || event.target.querySelector("button");
    event.preventDefault();
    if (button.getAttribute("aria-disabled") !== "true") press(event.target, button);
  });

  (async function () {
    for (;;) {
      await look();
      await new Promise(function (resolve) { setTimeout(resolve, LOOK_EVERY_MS); });
    }
  })();
})();
