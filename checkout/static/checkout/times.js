// Times in the shopper's own zone and language. The server writes them in its zone; without Intl
// they stay so.
(function () {
  "use strict";

  var LONG = {
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short"
  };
  var SHORT = { hour: "2-digit", minute: "2-digit" };

  window.tellTimes = function () {
    if (!window.Intl) return;
    var times = document.querySelectorAll("time[data-time]");
    for (var i = 0; i < times.length; i += 1) {
      var moment = new Date(times[i].getAttribute("datetime"));
      var lang = document.documentElement.lang;
      times[i].textContent =
        times[i].getAttribute("data-time") === "short"
          ? moment.toLocaleTimeString(lang, SHORT)
          : moment.toLocaleString(lang, LONG);
    }
  };

  document.addEventListener("shop:shown", window.tellTimes);
  window.tellTimes();
})();
