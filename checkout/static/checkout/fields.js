// Says when a postcode looks unusual for its country. Only says: every address can be sent.
// Makes a list of countries from a field into which a country's name can be typed.
(function () {
  "use strict";

  // Found anew each time: the page may have got other rows for another country.
  function look() {
    var postcode = document.querySelector("[name=postcode]");
    var country = document.querySelector("[name=country]");
    var hint = document.querySelector("[data-postcode-hint]");
    if (!postcode || !country || !hint) return;
    // The hint of another country stays only until its rows arrive.
    var pattern = hint.getAttribute("data-country") === country.value && hint.getAttribute("data-pattern");
    var typed = postcode.value.replace(/^\s+|\s+$/g, "");
    var isUsual = !pattern || !typed || new RegExp("^(?:" + pattern + ")$", "i").test(typed);
    var words = isUsual
      ? ""
      : hint
          .getAttribute("data-words")
          .replace("{country}", country.options[country.selectedIndex].text)
          .replace("{example}", hint.getAttribute("data-example"));
    if (hint.textContent !== words) hint.textContent = words;
  }

  function offerCountries(input) {
    var list = document.querySelector("[name=" + input.getAttribute("data-countries") + "]");
    if (!list) return;
    var select = document.createElement("select");
    Array.prototype.forEach.call(input.attributes, function (attribute) {
      if (/^(name|id|autocomplete|aria-.*)$/.test(attribute.name)) {
        select.setAttribute(attribute.name, attribute.value);
      }
    });
    Array.prototype.forEach.call(list.options, function (option) {
      select.options.add(new Option(option.text, option.value));
      if (input.value && (input.value === option.text || input.value === option.value)) {
        select.value = option.value;
      }
    });
    input.parentNode.replaceChild(select, input);
  }

  function start() {
    Array.prototype.forEach.call(document.querySelectorAll("[data-countries]"), offerCountries);
    look();
  }

  document.addEventListener("change", function (event) {
    if (event.target.name === "postcode" || event.target.name === "country") look();
  });
  // Said when parts of the page were replaced.
  document.addEventListener("shop:shown", start);
  document.addEventListener("shop:total", start);
  start();
})();
