// Shows what becomes of the order as soon as it is known, without a press and without a reload.
// Written for old browsers too: with scripts on, they skip the page's <noscript> refresh.
(function () {
  "use strict";

  var FIRST_WAIT_MS = 1000;
  var LONGEST_WAIT_MS = 10000;
  var ANSWER_WITHIN_MS = 8000;

  var wait = FIRST_WAIT_MS;
  var timer = 0;
  var isLooking = false;

  function order() {
    return document.querySelector("[data-order]");
  }

  function isFinal() {
    return order().getAttribute("data-final") !== "false";
  }

  function say(name) {
    var words = document.querySelector("[data-status-words]");
    var sentence = words && words.getAttribute("data-words-" + name);
    if (words && words.textContent !== sentence) words.textContent = sentence;
  }

  function lookLater() {
    clearTimeout(timer);
    timer = setTimeout(look, wait);
    wait = Math.min(wait * 1.5, LONGEST_WAIT_MS);
  }

  function look() {
    if (isLooking || document.hidden) return; // who comes back to the page is shown at once
    isLooking = true;
    var request = new XMLHttpRequest();
    request.open("GET", order().getAttribute("data-status-url"));
    request.timeout = ANSWER_WITHIN_MS;
    request.onloadend = function () {
      isLooking = false;
      read(request.status === 200 ? request.responseText : "");
    };
    request.send();
  }

  function read(text) {
    var answer = new DOMParser().parseFromString(text, "text/html");
    var now = answer.querySelector("[data-order]");
    var shown = order();
    // Not the shop's answer otherwise: a captive portal's page, for instance.
    var isOurs = now && now.getAttribute("data-order-url") === shown.getAttribute("data-order-url");
    if (!isOurs) {
      say("away");
    } else if (now.getAttribute("data-can-pay") !== shown.getAttribute("data-can-pay")) {
      // The form for paying comes or goes with the whole page, and with the scripts it needs.
      window.location.replace(shown.getAttribute("data-order-url"));
      return;
    } else if (now.getAttribute("data-shown") !== shown.getAttribute("data-shown")) {
      show(answer);
      wait = FIRST_WAIT_MS;
    } else {
      say("looking");
    }
    if (!isFinal()) lookLater();
  }

  function show(answer) {
    var hadFocus = order().contains(document.activeElement);
    var parts = document.querySelectorAll("[data-part]");
    for (var i = 0; i < parts.length; i += 1) {
      var name = parts[i].getAttribute("data-part");
      var part = answer.querySelector("[data-part='" + name + "']");
      if (part) parts[i].parentNode.replaceChild(document.importNode(part, true), parts[i]);
    }
    var headline = order().querySelector("h1");
    var title = document.title;
    document.title = headline.textContent + title.slice(title.lastIndexOf(" · "));
    document.querySelector("[data-heard]").textContent = headline.textContent;
    if (hadFocus) headline.focus();
    if (!isFinal()) say("looking");
    window.tellTimes();
  }

  function lookSoon() {
    if (isFinal()) return;
    wait = FIRST_WAIT_MS;
    lookLater();
  }

  if (!order() || isFinal()) return;
  say("looking");
  lookLater();
  document.addEventListener("visibilitychange", function () {
    if (document.visibilityState === "visible") lookSoon();
  });
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) lookSoon();
  });
})();
