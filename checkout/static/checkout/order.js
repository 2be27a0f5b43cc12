// Shows the order's next status as soon as there is one, without a press.
// Written for old browsers too: with scripts on, they skip the page's <noscript> refresh.
(function () {
  "use strict";

  var FIRST_WAIT_MS = 1000;
  var LONGEST_WAIT_MS = 10000;
  var ANSWER_WITHIN_MS = 8000;

  var order = document.querySelector("[data-order]");
  var words = document.querySelector("[data-status-words]");
  var wait = FIRST_WAIT_MS;
  var timer = 0;
  var isLooking = false;

  function say(sentence) {
    if (words.textContent !== sentence) words.textContent = sentence;
  }

  function lookLater() {
    clearTimeout(timer);
    timer = setTimeout(look, wait);
    wait = Math.min(wait * 1.5, LONGEST_WAIT_MS);
  }

  function look() {
    if (isLooking) return;
    isLooking = true;
    var request = new XMLHttpRequest();
    request.open("GET", order.getAttribute("data-status-url"));
    request.timeout = ANSWER_WITHIN_MS;
    request.onloadend = function () {
      isLooking = false;
      read(request);
    };
    request.send();
  }

  function read(request) {
    var now = null;
    try {
      if (request.status === 200) now = JSON.parse(request.responseText);
    } catch (unreadable) {
      // Not the shop's answer: a captive portal's page, for instance.
    }
    if (!now) {
      say("The shop does not answer just now. Your order is safe, and this page keeps looking.");
    } else if (now.status !== order.getAttribute("data-status")) {
      window.location.replace(order.getAttribute("data-order-url"));
      return;
    } else {
      say("This page updates by itself.");
      if (now.is_final) return;
    }
    lookLater();
  }

  function lookSoon() {
    wait = FIRST_WAIT_MS;
    lookLater();
  }

  if (order && order.getAttribute("data-final") === "false") {
    say("This page updates by itself.");
    lookLater();
    document.addEventListener("visibilitychange", function () {
      if (document.visibilityState === "visible") lookSoon();
    });
    window.addEventListener("pageshow", function (event) {
      if (event.persisted) lookSoon();
    });
  }

  // The server writes times in its own zone; without Intl they stay so.
  if (window.Intl) {
    var times = document.querySelectorAll("time[data-time]");
    for (var i = 0; i < times.length; i += 1) {
      times[i].textContent = new Date(times[i].getAttribute("datetime")).toLocaleString(
        document.documentElement.lang,
        {
          day: "numeric",
          month: "long",
          year: "numeric",
          hour: "2-digit",
          minute: "2-digit",
          timeZoneName: "short"
        }
      );
    }
  }
})();
