// A courtesy only: the server makes one order of any number of presses.
(function () {
  "use strict";

  var STILL_WAITING_MS = 15000;

  function pressOnce(form) {
    var button = form.querySelector("button");
    var words = form.querySelector("[data-press-words]");
    if (!button || !words) return;
    var label = button.textContent;
    var timer = 0;
    var isOnItsWay = false;

    function offerAgain() {
      clearTimeout(timer);
      isOnItsWay = false;
      button.removeAttribute("aria-disabled");
      button.textContent = label;
    }

    form.addEventListener("submit", function (event) {
      if (isOnItsWay) {
        event.preventDefault();
        return;
      }
      isOnItsWay = true;
      button.setAttribute("aria-disabled", "true");
      button.textContent = form.getAttribute("data-busy-label");
      timer = setTimeout(function () {
        offerAgain();
        words.textContent =
          "No answer yet. Your press may have arrived all the same. Press again: " +
          "it is the same purchase, placed once and charged once.";
      }, STILL_WAITING_MS);
    });

    window.addEventListener("pageshow", function (event) {
      if (event.persisted) offerAgain();
    });
  }

  var forms = document.querySelectorAll("form[data-press-once]");
  for (var i = 0; i < forms.length; i += 1) pressOnce(forms[i]);
})();
