// Shows the new total as soon as a country, a region, a way of delivery or a code is chosen. The
// server works it out; without this script the button "Update total" asks for the same.
(function () {
  "use strict";

  var PARTS = ["summary-bar", "summary", "delivery-methods", "code-field", "press"];
  var DEPENDS_ON = { country: 1, region: 1, delivery_method: 1, code: 1 };

  var canFetch =
    window.fetch &&
    window.AbortController &&
    window.DOMParser &&
    window.URLSearchParams &&
    window.FormData &&
    FormData.prototype.forEach;
  if (!canFetch) return;

  var asking = null; // what ends the question that is under way
  var shownFor = ""; // what the total was asked for last

  function formOf(element) {
    var form = element && element.form;
    return form && form.hasAttribute("data-total-url") ? form : null;
  }

  function contentOf(form) {
    var fields = new URLSearchParams();
    new FormData(form).forEach(function (value, name) {
      fields.append(name, value);
    });
    return fields;
  }

  function dependsOn(fields) {
    return Object.keys(DEPENDS_ON)
      .map(function (name) {
        return fields.get(name) || "";
      })
      .join("|");
  }

  function ask(form) {
    var fields = contentOf(form);
    var asked = dependsOn(fields);
    if (asking) asking.abort();
    var controller = (asking = new AbortController());
    window
      .fetch(form.getAttribute("data-total-url"), {
        method: "POST",
        body: fields.toString(),
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        credentials: "same-origin",
        signal: controller.signal
      })
      .then(function (response) {
        if (response.redirected) window.location.assign(response.url);
        return response.ok && !response.redirected ? response.text() : "";
      })
      .then(
        function (text) {
          if (asking !== controller) return;
          asking = null;
          if (text) show(form, text, asked);
        },
        // The press compares the total all the same, so nothing is charged that was not shown.
        function () {}
      );
  }

  function show(form, text, asked) {
    if (!document.body.contains(form) || dependsOn(contentOf(form)) !== asked) return;
    var answer = new DOMParser().parseFromString(text, "text/html");
    var root = answer.querySelector("[data-costs]");
    if (!root) return;
    if (root.getAttribute("data-costs") !== form.getAttribute("data-costs")) {
      showWholePage(form); // the fields to pay with come or go
      return;
    }
    var focused = document.activeElement && document.activeElement.id;
    PARTS.forEach(function (id) {
      replace(id, answer);
    });
    if (asked.split("|")[0] !== shownFor.split("|")[0]) replace("address-rows", answer);
    shownFor = asked;
    form.elements.token.value = answer.getElementById("token").value;
    var again = focused && document.getElementById(focused);
    if (again && document.activeElement !== again) again.focus();
    var shown = document.createEvent("Event");
    shown.initEvent("shop:shown", false, false);
    document.dispatchEvent(shown);
  }

  function replace(id, answer) {
    var old = document.getElementById(id);
    var fresh = answer.getElementById(id);
    if (!old || !fresh || old.innerHTML === fresh.innerHTML) return;
    var kept = typedIn(old);
    old.parentNode.replaceChild(document.importNode(fresh, true), old);
    var now = document.getElementById(id);
    Object.keys(kept).forEach(function (name) {
      var field = now.querySelector('input[name="' + name + '"]:not([type=radio])');
      if (field && field.type !== "hidden") field.value = kept[name];
    });
  }

  // What was typed while the answer was on its way.
  function typedIn(element) {
    var typed = {};
    Array.prototype.forEach.call(element.querySelectorAll("input"), function (field) {
      if (field.name && field.type !== "radio" && field.type !== "hidden") {
        typed[field.name] = field.value;
      }
    });
    return typed;
  }

  function showWholePage(form) {
    var wish = document.createElement("input");
    wish.type = "hidden";
    wish.name = "update_total";
    wish.value = "1";
    form.appendChild(wish);
    form.submit();
  }

  document.addEventListener("change", function (event) {
    var form = formOf(event.target);
    if (form && DEPENDS_ON[event.target.name]) ask(form);
  });

  document.addEventListener("keydown", function (event) {
    var form = formOf(event.target);
    if (!form || event.key !== "Enter" || event.target.name !== "code") return;
    event.preventDefault(); // Enter in the field of the code asks what it is worth, and orders nothing
    ask(form);
  });

  document.addEventListener("click", function (event) {
    var button = event.target;
    if (button.name !== "update_total" || !formOf(button)) return;
    event.preventDefault();
    ask(button.form);
  });

  // A press that is under way counts: what it brings replaces the page.
  document.addEventListener("submit", function () {
    if (asking) asking.abort();
    asking = null;
  });

  function begin() {
    var form = document.querySelector("form[data-total-url]");
    if (form) shownFor = dependsOn(contentOf(form));
  }

  document.addEventListener("shop:shown", begin);
  begin();
})();
