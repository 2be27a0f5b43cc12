// Shows the shop's own OpenAPI document. Nothing is asked of any other server.
SwaggerUIBundle({
  domNode: document.getElementById("document"),
  url: document.getElementById("document").dataset.address,
  validatorUrl: null,
});
