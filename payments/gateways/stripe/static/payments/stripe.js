// Stripe's Payment Element: the card goes to Stripe, and its id into our form.
(function () {
  "use strict";

  function start(box) {
    var form = box.closest("form");
    var field = box.querySelector("[data-stripe-field]");
    var way = box.closest("[data-way]");
    var choice = way && way.querySelector("[name=gateway]");
    var words = box.querySelector("[data-stripe-words]");
    var kept = box.querySelector("[data-stripe-kept]");
    var isTyping = false; // something was entered since the kept card
    var isAsking = false;

    if (!window.Stripe) {
      words.textContent = box.getAttribute("data-words-not-loaded");
      return;
    }
    var stripe = window.Stripe(box.getAttribute("data-key"));
    // Stripe docs, "Finalize payments on the server".
    var elements = stripe.elements({
      mode: "setup",
      currency: box.getAttribute("data-currency"),
      paymentMethodCreation: "manual",
      paymentMethodTypes: ["card"]
    });
    var element = elements.create("payment");
    element.mount(box.querySelector("[data-stripe-element]"));
    element.on("change", function (event) {
      isTyping = !event.empty;
      words.textContent = "";
    });

    function fail(sentence) {
      isAsking = false;
      words.textContent = sentence;
    }

    function send(id) {
      isAsking = false;
      isTyping = false;
      field.value = id;
      kept.hidden = false;
      form.requestSubmit ? form.requestSubmit() : form.submit();
    }

    // Before the form's own handlers: they see only a press that really goes out.
    form.addEventListener(
      "submit",
      function (event) {
        if (choice && !choice.checked) return; // another way to pay was chosen
        if (field.value && !isTyping) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        if (isAsking) return;
        isAsking = true;
        words.textContent = "";
        elements
          .submit()
          .then(function (checked) {
            if (checked.error) return fail(checked.error.message);
            return stripe.createPaymentMethod({ elements: elements }).then(function (made) {
              if (made.error) return fail(made.error.message);
              send(made.paymentMethod.id);
            });
          })
          .catch(function () {
            fail(box.getAttribute("data-words-no-answer"));
          });
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
