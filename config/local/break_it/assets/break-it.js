// Keeps the figures fresh, and presses buttons without leaving the page. Without it, forms do both.
(function () {
  "use strict";

  const LOOK_EVERY_MS = 1000;
  // Whoever listens to the page is told of a change, and not of each tick.
  const SAY_EVERY_MS = 10000;

  const answer = document.getElementById("answer");
  const inWords = document.getElementById("in-words");
  const PARTS = [
    "workflows", "whose", "verdict", "state", "hits", "figures", "events", "processes", "purchases", "picture",
  ];
  const shown = {};
  const underWay = new Set();  // the addresses of the forms whose answer is awaited
  let starting = "";  // the workflow that is being started
  const AWAY = "The demo does not answer. Was it ended?";
  let said = "";
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

  function tell(words) {
    if (answer.textContent !== words) answer.textContent = words;
  }

  // The words are always those of now, and are read out now and then.
  function say(words) {
    const isTime = words !== said && Date.now() - saidAt >= SAY_EVERY_MS;
    inWords.setAttribute("aria-live", isTime ? "polite" : "off");
    if (isTime || words !== inWords.textContent) inWords.textContent = words;
    if (!isTime) return;
    said = words;
    saidAt = Date.now();
  }

  // While a workflow is being started no button does anything.
  function wait() {
    document.querySelectorAll("button").forEach(function (button) {
      if (starting || underWay.has(button.form.action)) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    });
  }

  document.getElementById("without").hidden = true;

  async function look() {
    try {
      const reply = await fetch("/parts" + location.search, { headers: { Accept: "application/json" } });
      const parts = await reply.json();
      PARTS.forEach(function (name) { show(name, parts[name]); });
      say(parts.in_words);
      if (!underWay.size) {
        if (starting || parts.starting) tell(parts.said);
        starting = parts.starting;
      }
      wait();
      document.body.classList.remove("away");
      if (answer.textContent === AWAY) tell(parts.said);
    } catch (error) {
      document.body.classList.add("away");
      tell(AWAY);
    }
  }

  async function press(form, button) {
    underWay.add(form.action);
    if (form.dataset.doing) {
      starting = form.dataset.doing;
      document.querySelectorAll("[aria-pressed]").forEach(function (each) {
        each.setAttribute("aria-pressed", String(each === button));
      });
      form.querySelector("span").textContent = starting;
      delete shown.workflows;
    }
    wait();
    tell(form.dataset.doing || button.textContent.trim() + "…");
    try {
      const reply = await fetch(form.action, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
      });
      const told = await reply.json();
      tell(told.said);
    } catch (error) {
      tell("The demo did not answer.");
    } finally {
      underWay.delete(form.action);
      if (form.dataset.doing) starting = "";
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
