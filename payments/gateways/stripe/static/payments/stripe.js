// Stripe's Elements: what a customer pays with goes to Stripe, and a token of it into our form.
// Stripe docs, "Finalize payments on the server" and "Express Checkout Element".
(function () {
  "use strict";

  function start(box) {
    var form = box.closest("form");
    var field = box.querySelector("[data-stripe-field]");
    var way = box.closest("[data-way]");
    var choice = way && way.querySelector("[name=gateway]");
    var words = box.querySelector("[data-stripe-words]");
    var kept = box.querySelector("[data-stripe-kept]");
    var wallets = box.querySelector("[data-stripe-wallets]");
    var isTyping = false; // something was entered since what is kept
    var isAsking = false;

    if (!window.Stripe) {
      words.textContent = box.getAttribute("data-words-not-loaded");
      return;
    }
    var stripe = window.Stripe(box.getAttribute("data-key"));
    // No method is named: Stripe shows what the shop has switched on there for this total.
    var elements = stripe.elements({
      mode: "payment",
      amount: amount(),
      currency: box.getAttribute("data-currency")
    });
    var element = elements.create("payment");
    element.mount(box.querySelector("[data-stripe-element]"));
    element.on("change", function (event) {
      isTyping = !event.empty;
      words.textContent = "";
    });
    showWallets();

    // In Stripe's unit. A page that does not know its total has none to show either.
    function amount() {
      var part = form.querySelector("[data-total-minor]");
      var minor = part ? Number(part.getAttribute("data-total-minor")) : 0;
      return Math.max(1, Math.round(minor * Number(box.getAttribute("data-units"))));
    }

    document.addEventListener("shop:total", function () {
      if (document.body.contains(box)) elements.update({ amount: amount() });
    });

    // Buttons of the wallets that this browser has. Their place has to be there when Stripe looks.
    function showWallets() {
      var express = elements.create("expressCheckout");
      express.mount(wallets);
      express.on("ready", function (event) {
        wallets.hidden = !event.availablePaymentMethods;
      });
      express.on("click", function (event) {
        // The wallet opens over the page: what is missing in the form is said before that.
        if (form.reportValidity()) event.resolve();
        else event.reject();
      });
      express.on("confirm", function (event) {
        if (choice) choice.checked = true;
        ask().then(function (isMade) {
          if (!isMade) event.paymentFailed({ reason: "fail" });
        });
      });
    }

    function fail(sentence) {
      isAsking = false;
      words.textContent = sentence;
      return false;
    }

    function send(id) {
      isAsking = false;
      isTyping = false;
      field.value = id;
      kept.hidden = false;
      form.requestSubmit ? form.requestSubmit() : form.submit();
      return true;
    }

    // Have Stripe check what was entered and make a token of it; whether it did.
    function ask() {
      isAsking = true;
      words.textContent = "";
      return elements
        .submit()
        .then(function (checked) {
          if (checked.error) return fail(checked.error.message);
          return stripe.createConfirmationToken({ elements: elements }).then(function (made) {
            if (made.error) return fail(made.error.message);
            return send(made.confirmationToken.id);
          });
        })
        .catch(function () {
          return fail(box.getAttribute("data-words-no-answer"));
        });
    }

    // Before the form's own handlers: they see only a press that really goes out.
    form.addEventListener(
      "submit",
      function (event) {
        if (choice && !choice.checked) return; // another way to pay was chosen
        if (field.value && !isTyping) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        if (!isAsking) ask();
      },
      true
    );
  }

  function startAll() {
    var boxes = document.querySelectorAll("[data-stripe]");
    for (var i = 0; i < boxes.length; i += 1) start(boxes[i]);
  }

  document.addEventListener("shop:shown", startAll);
  startAll();
})();
