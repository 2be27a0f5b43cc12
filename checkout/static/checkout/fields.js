// Says when a postcode looks unusual for its country. Only says: every address can be sent.
(function () {
  "use strict";

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
      : "Postcodes in " + chosen.text + " usually look like " +
        chosen.getAttribute("data-example") + ". If yours is right, leave it as it is.";
    if (hint.textContent !== words) hint.textContent = words;
  }

  postcode.addEventListener("change", look);
  country.addEventListener("change", look);
  look();
})();
