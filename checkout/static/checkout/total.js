// Asks the server for the new total as soon as what it depends on is chosen.
(function () {
  "use strict";

  var PARTS = ["summary-bar", "summary", "delivery-methods", "code-field", "press"];
  var DEPENDS_ON = ["country", "region", "delivery_method", "code"];

  // Browsers that have the first have the others that are used here.
  if (!window.fetch || !window.AbortController || !window.DOMParser) return;

  var asking = null; // what ends the question that is under way
  var country = ""; // whose rows of an address are shown
  var isHeld = false; // the mouse or the space bar is down
  var heldBack = null; // what waits for that to end

  function formOf(field) {
    var form = field && field.form;
    return form && form.hasAttribute("data-total-url") ? form : null;
  }

  function contentOf(form) {
    return new URLSearchParams(new FormData(form));
  }

  function chosen(fields) {
    return DEPENDS_ON.map(function (name) {
      return fields.get(name);
    }).join();
  }

  function stop() {
    if (asking) asking.abort();
    asking = null;
  }

  function ask(form) {
    var fields = contentOf(form);
    stop();
    var ours = (asking = new AbortController());
    window
      .fetch(form.getAttribute("data-total-url"), {
        method: "POST",
        body: fields.toString(),
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        credentials: "same-origin",
        signal: ours.signal
      })
      .then(function (response) {
        if (response.redirected) window.location.assign(response.url);
        return response.ok && !response.redirected ? response.text() : "";
      })
      .then(
        function (text) {
          whenReleased(function () {
            var isWanted = asking === ours && text && document.body.contains(form);
            if (isWanted && chosen(contentOf(form)) === chosen(fields)) {
              show(form, new DOMParser().parseFromString(text, "text/html"));
            }
          });
        },
        // The press compares the total all the same, so nothing is charged that was not shown.
        function () {}
      );
  }

  // A browser forgets a press whose button is replaced before the press has ended.
  function whenReleased(act) {
    if (isHeld) heldBack = act;
    else act();
  }

  function hold(event) {
    isHeld = /down$/.test(event.type) && (event.key || " ") === " ";
    setTimeout(function () {
      if (isHeld || !heldBack) return;
      heldBack();
      heldBack = null;
    });
  }

  function show(form, answer) {
    var costs = answer.querySelector("[data-costs]");
    if (!costs) return;
    if (costs.getAttribute("data-costs") !== form.getAttribute("data-costs")) {
      showWholePage(form); // the fields to pay with come or go
      return;
    }
    var active = document.activeElement || {};
    var from = active.selectionStart;
    var to = active.selectionEnd;
    var now = form.elements.country.value;
    PARTS.concat(now === country ? [] : "address-rows").forEach(function (id) {
      replace(id, answer);
    });
    country = now;
    form.elements.token.value = answer.getElementById("token").value;
    var again = active.id && document.getElementById(active.id);
    if (again && again !== active) {
      again.focus();
      if (typeof from === "number") again.setSelectionRange(from, to);
    }
    var shown = document.createEvent("Event");
    shown.initEvent("shop:total", false, false);
    document.dispatchEvent(shown);
  }

  // What was typed in it while the answer was on its way stays.
  function replace(id, answer) {
    var old = document.getElementById(id);
    var fresh = answer.getElementById(id);
    if (!old || !fresh || old.innerHTML === fresh.innerHTML) return;
    fresh = document.importNode(fresh, true);
    Array.prototype.forEach.call(old.querySelectorAll("input:not([type=radio])"), function (field) {
      var same = field.type !== "hidden" && fresh.querySelector("input[name=" + field.name + "]");
      if (same) same.value = field.value;
    });
    old.parentNode.replaceChild(fresh, old);
  }

  function showWholePage(form) {
    var wish = document.createElement("input");
    wish.type = "hidden";
    wish.name = "update_total";
    form.appendChild(wish);
    form.submit();
  }

  document.addEventListener("change", function (event) {
    var form = formOf(event.target);
    if (form && DEPENDS_ON.indexOf(event.target.name) >= 0) ask(form);
  });

  // Enter in the field of the code asks what it is worth, and orders nothing.
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" || event.target.name !== "code" || !formOf(event.target)) return;
    event.preventDefault();
    ask(event.target.form);
  });

  document.addEventListener("click", function (event) {
    if (event.target.name !== "update_total" || !formOf(event.target)) return;
    event.preventDefault();
    ask(event.target.form);
  });

  document.addEventListener("submit", stop);

  ["mousedown", "mouseup", "keydown", "keyup", "blur"].forEach(function (name) {
    window.addEventListener(name, hold);
  });

  function begin() {
    var form = document.querySelector("form[data-total-url]");
    if (form) country = form.elements.country.value;
  }

  document.addEventListener("shop:shown", begin);
  begin();
})();
