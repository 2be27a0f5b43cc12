// Sends the form by fetch, and again by itself where the line is bad: of any number of tries the
// server makes one order. A browser that cannot do that sends the form itself, as without scripts.
// Every sentence is an attribute of the form.
(function () {
  "use strict";

  var ANSWER_WITHIN_MS = 15000;
  var WAITS_MS = [1000, 3000, 8000];
  // A shop that is away for longer says so itself, and the shopper decides.
  var LONGEST_WAIT_MS = 60000;

  var canFetch =
    window.fetch &&
    window.AbortController &&
    window.DOMParser &&
    window.URLSearchParams &&
    window.FormData &&
    FormData.prototype.forEach;
  var press = null; // the one under way
  var heldBack = null; // given up while offline, and sent when the line is back

  function isOffline() {
    return navigator.onLine === false;
  }

  function formIn(page) {
    return page.querySelector("form[data-press-once]");
  }

  function say(form, name) {
    var words = form.querySelector("[data-press-words]");
    if (!words) return;
    var usual = words.getAttribute("data-usual") || words.textContent;
    words.setAttribute("data-usual", usual);
    var sentence = name === "usual" ? usual : form.getAttribute("data-" + name);
    if (words.textContent !== sentence) words.textContent = sentence;
  }

  function buttonsOf(form) {
    return Array.prototype.filter.call(form.elements, function (element) {
      return element.type === "submit";
    });
  }

  // As a browser encodes a form that it sends itself.
  function contentOf(form, submitter) {
    var fields = new URLSearchParams();
    new FormData(form).forEach(function (value, name) {
      fields.append(name, value.replace(/\r\n?|\n/g, "\r\n"));
    });
    if (submitter && submitter.name) fields.append(submitter.name, submitter.value);
    return fields.toString();
  }

  function begin(form, submitter) {
    // The Enter key presses a button that nobody sees.
    if (submitter && submitter.hasAttribute("data-enter")) submitter = null;
    var button = submitter || form.querySelector("[data-place]") || buttonsOf(form)[0];
    press = {
      form: form,
      submitter: submitter,
      button: button,
      label: button.textContent,
      content: canFetch ? contentOf(form, submitter) : "",
      tries: 0,
      timer: 0,
      controller: null,
      isLeaving: false
    };
    heldBack = null;
    buttonsOf(form).forEach(function (each) {
      each.setAttribute("aria-disabled", "true");
    });
    button.style.minWidth = button.offsetWidth + "px";
    button.textContent = form.getAttribute("data-busy-label");
    say(form, "usual");
  }

  function forget() {
    clearTimeout(press.timer);
    if (press.controller) press.controller.abort();
    press = null;
  }

  // The button again, and words.
  function end(name) {
    var ended = press;
    forget();
    buttonsOf(ended.form).forEach(function (each) {
      each.removeAttribute("aria-disabled");
    });
    ended.button.removeAttribute("style");
    ended.button.textContent = ended.label;
    say(ended.form, name);
    return ended;
  }

  function endUnlessAnsweredIn(milliseconds) {
    clearTimeout(press.timer);
    press.timer = setTimeout(function () {
      end("given-up");
    }, milliseconds);
  }

  function send() {
    var controller = new AbortController();
    if (press.controller) press.controller.abort();
    clearTimeout(press.timer);
    press.controller = controller;
    press.timer = setTimeout(function () {
      controller.abort();
    }, ANSWER_WITHIN_MS);

    // Whatever comes after a later try has begun, or after the end, is not listened to.
    function listen(act) {
      return function (answer) {
        if (press && press.controller === controller) act(answer);
      };
    }

    var answer = window.fetch(press.form.getAttribute("action"), {
      method: "POST",
      body: press.content,
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      credentials: "same-origin",
      signal: controller.signal
    });
    answer
      .then(function (response) {
        if (response.redirected) return { leadsTo: response.url };
        return response.text().then(function (text) {
          return { response: response, text: text };
        });
      })
      .then(
        listen(read),
        listen(function () {
          tryLater("no-answer", 0);
        })
      );
  }

  function read(answer) {
    if (answer.leadsTo) return leave(answer.leadsTo);
    var status = answer.response.status;
    var wait = Number(answer.response.headers.get("Retry-After")) * 1000 || 0;
    var page = new DOMParser().parseFromString(answer.text, "text/html");
    var form = formIn(page);
    var isOurs = form && form.getAttribute("action") === press.form.getAttribute("action");
    var isAway = status >= 500;
    if (status === 503 && wait <= LONGEST_WAIT_MS && press.tries < WAITS_MS.length) {
      tryLater("unavailable", wait);
    } else if (isOurs) {
      show(page, form);
    } else if (status === 429) {
      end("too-many");
    } else if (status >= 400 && !isAway) {
      // A page without this form is the browser's to show, with ours behind its Back button.
      press.isLeaving = true;
      endUnlessAnsweredIn(ANSWER_WITHIN_MS);
      press.form.submit();
    } else {
      tryLater(isAway ? "unavailable" : "no-answer", wait); // or a captive portal's page
    }
  }

  function tryLater(name, atLeast) {
    if (press.tries >= WAITS_MS.length) {
      var isHeldBack = isOffline();
      var ended = end(isHeldBack ? "offline" : "given-up");
      if (isHeldBack) heldBack = ended;
      return;
    }
    var wait = Math.max(WAITS_MS[press.tries], Math.min(atLeast, LONGEST_WAIT_MS));
    press.tries += 1;
    clearTimeout(press.timer);
    press.timer = setTimeout(send, wait * (1 + Math.random() / 4));
    say(press.form, isOffline() ? "offline" : name);
  }

  function leave(address) {
    press.isLeaving = true;
    endUnlessAnsweredIn(ANSWER_WITHIN_MS);
    say(press.form, "arrived");
    window.location.assign(address);
  }

  // What the browser would show had it sent the form itself.
  function show(page, form) {
    var main = document.querySelector("main");
    var fresh = document.importNode(page.querySelector("main"), true);
    Array.prototype.forEach.call(fresh.querySelectorAll("script"), function (script) {
      script.parentNode.removeChild(script); // runs already
    });
    keepTyped(press.form, formIn(fresh));
    forget();
    main.parentNode.replaceChild(fresh, main);
    document.title = page.title;
    var shown = document.createEvent("Event");
    shown.initEvent("shop:shown", false, false);
    document.dispatchEvent(shown);
    var first = fresh.querySelector("[autofocus], .field-wrong");
    if (first) first.focus();
  }

  // The answer holds what was sent; what was typed since comes along.
  function keepTyped(from, to) {
    Array.prototype.forEach.call(to.elements, function (field) {
      var typed = field.name && from.elements[field.name];
      if (!typed || field.type === "hidden") return;
      if (field.type === "radio") chooseAgain(to, field.name, typed.value);
      else field.value = typed.value;
    });
  }

  // What was chosen may not be offered any more.
  function chooseAgain(form, name, value) {
    Array.prototype.forEach.call(form.elements, function (field) {
      if (field.name === name && field.value === value) field.checked = true;
    });
  }

  // A button that asks for the total sends the form as without scripts, unless total.js has it.
  function asksForTotal(event) {
    var button = event.submitter || document.activeElement;
    return button && button.name === "update_total";
  }

  // On the document: whoever has reason to stop a press does so at the form, and comes first.
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (event.defaultPrevented || !form.hasAttribute("data-press-once")) return;
    if (asksForTotal(event)) return;
    if (press || !buttonsOf(form).length) {
      event.preventDefault();
      return;
    }
    begin(form, event.submitter);
    if (canFetch) {
      event.preventDefault();
      send();
    } else {
      endUnlessAnsweredIn(ANSWER_WITHIN_MS);
    }
  });

  function sayOffline() {
    var form = formIn(document);
    if (form && !(press && press.isLeaving)) say(form, press ? "offline" : "offline-idle");
  }

  window.addEventListener("pageshow", function (event) {
    if (event.persisted && press) end("usual");
    if (isOffline()) sayOffline();
  });

  window.addEventListener("offline", sayOffline);

  // A total that was on its way when the line went brings the usual words with it.
  document.addEventListener("shop:total", function () {
    if (isOffline()) sayOffline();
  });

  window.addEventListener("online", function () {
    var form = formIn(document);
    if (!form || (press && (press.isLeaving || !canFetch))) return;
    var isUnchanged =
      heldBack && heldBack.form === form && heldBack.content === contentOf(form, heldBack.submitter);
    if (!press && !isUnchanged) {
      heldBack = null;
      say(form, "usual");
      return;
    }
    if (!press) begin(form, heldBack.submitter);
    press.tries = 0;
    say(form, "online");
    send();
  });
})();
