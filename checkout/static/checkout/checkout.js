// Sends the checkout form over a bad network: waits so long and no longer, tries again by itself
// with the same token, and says what it knows. A courtesy only: the server makes one order of any
// number of presses, and without this script the browser sends the form itself.
(function () {
  "use strict";

  var ANSWER_WITHIN_MS = 15000;
  var PAUSES_MS = [1000, 3000, 8000]; // before each further try, and a little more by chance
  var LONGEST_PAUSE_MS = 30000;

  var canSend =
    window.fetch && window.AbortController && window.URLSearchParams && window.FormData &&
    window.DOMParser && typeof URLSearchParams.prototype.forEach === "function";

  function start(form) {
    if (form.hasAttribute("data-started")) return;
    form.setAttribute("data-started", "");
    var words = form.querySelector("[data-press-words]");
    var isOnItsWay = false;
    var timer = 0;
    var goOn = null; // what to do as soon as there is a network again

    function say(name) {
      var sentence = form.getAttribute("data-words-" + name);
      if (words && sentence) words.textContent = sentence;
    }

    // One of them may stand outside of the form, beside a question.
    function buttons() {
      return Array.prototype.filter.call(form.elements, function (element) {
        return element.type === "submit";
      });
    }

    function hold() {
      isOnItsWay = true;
      buttons().forEach(function (button) {
        if (!button.hasAttribute("data-label")) {
          button.setAttribute("data-label", button.textContent);
        }
        button.setAttribute("aria-disabled", "true");
        button.textContent = form.getAttribute("data-busy-label");
      });
    }

    function offerAgain() {
      clearTimeout(timer);
      goOn = null;
      isOnItsWay = false;
      buttons().forEach(function (button) {
        if (!button.hasAttribute("data-label")) return;
        button.removeAttribute("aria-disabled");
        button.textContent = button.getAttribute("data-label");
      });
    }

    // The same content each time: what is typed meanwhile is not part of this press.
    function send(body, tries) {
      var given = new AbortController();
      var deadline = setTimeout(function () {
        given.abort();
      }, ANSWER_WITHIN_MS);
      var wantedPause = 0;
      fetch(form.action, {
        method: "POST",
        body: body,
        credentials: "same-origin",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        signal: given.signal
      })
        .then(function (response) {
          if (response.redirected) {
            clearTimeout(deadline);
            window.location.assign(response.url);
            return true;
          }
          wantedPause = 1000 * (parseInt(response.headers.get("Retry-After"), 10) || 0);
          return response.text().then(function (text) {
            var isLast = tries >= PAUSES_MS.length;
            return (response.status < 500 || isLast) && show(text);
          });
        })
        .catch(function () {
          return false; // no answer, or half of one
        })
        .then(function (isAnswered) {
          clearTimeout(deadline);
          if (!isAnswered) tryLater(body, tries, wantedPause);
        });
    }

    function tryLater(body, tries, wantedPause) {
      if (navigator.onLine === false) {
        say("offline");
        goOn = function () {
          send(body, tries);
        };
        return;
      }
      if (tries >= PAUSES_MS.length) {
        offerAgain();
        say("unknown");
        return;
      }
      say("waiting");
      goOn = function () {
        clearTimeout(timer);
        goOn = null;
        send(body, tries + 1);
      };
      var pause = Math.max(PAUSES_MS[tries], Math.min(wantedPause, LONGEST_PAUSE_MS));
      timer = setTimeout(goOn, pause * (1 + Math.random() / 4));
    }

    form.addEventListener("submit", function (event) {
      if (isOnItsWay) {
        event.preventDefault();
        return;
      }
      if (canSend && form.hasAttribute("data-send")) {
        event.preventDefault();
        var body = new URLSearchParams(new FormData(form)).toString();
        hold();
        say("sending");
        if (navigator.onLine === false) tryLater(body, 0, 0);
        else send(body, 0);
        return;
      }
      hold();
      timer = setTimeout(function () {
        offerAgain();
        say("unknown");
      }, ANSWER_WITHIN_MS);
    });

    window.addEventListener("online", function () {
      if (!goOn) return;
      var next = goOn;
      goOn = null;
      clearTimeout(timer);
      say("sending");
      next();
    });

    window.addEventListener("pageshow", function (event) {
      if (event.persisted) offerAgain();
    });
  }

  // The form again, and why: put in place as if the page had been loaded. False for what is not the
  // shop's own answer, as a captive portal's page.
  function show(text) {
    var answer = new DOMParser().parseFromString(text, "text/html");
    var main = answer.querySelector("main");
    if (!main || !main.querySelector("form[data-send]")) return false;
    var old = document.querySelector("main");
    old.parentNode.replaceChild(document.importNode(main, true), old);
    document.title = answer.title;
    document.dispatchEvent(new Event("shop:shown"));
    var first = document.querySelector("main [autofocus]");
    if (first) first.focus();
    else window.scrollTo(0, 0);
    return true;
  }

  function startAll() {
    var forms = document.querySelectorAll("form[data-press-once]");
    for (var i = 0; i < forms.length; i += 1) start(forms[i]);
  }

  document.addEventListener("shop:shown", startAll);
  startAll();
})();
