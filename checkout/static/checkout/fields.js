// Says when a postcode looks unusual for its country. Only says: every address can be sent.
(function () {
  "use strict";

  function start() {
    var postcode = document.querySelector("[name=postcode]");
    var country = document.querySelector("[name=country]");
    var hint = document.querySelector("[data-postcode-hint]");
    if (!postcode || !country || !hint) return;

    function look() {
      var chosen = country.options[country.selectedIndex];
      var pattern = chosen && chosen.getAttribute("data-pattern");
      var typed = postcode.value.replace(/^\s+|\s+$/g, "");
      var isUsual = !pattern || !typed || new RegExp("^(?:" + pattern + ")$", "i").test(typed);
      var words = isUsual
        ? ""
        : hint
            .getAttribute("data-words")
            .replace("{country}", chosen.text)
            .replace("{example}", chosen.getAttribute("data-example"));
      if (hint.textContent !== words) hint.textContent = words;
    }

    postcode.addEventListener("change", look);
    country.addEventListener("change", look);
    look();
  }

  document.addEventListener("shop:shown", start);
  start();
})();
