// Shows the description whose address the page gives: a file of its own, as no script may be inline.
"use strict";

const place = document.getElementById("swagger-ui");

window.ui = SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  displayOperationId: true,
  docExpansion: "list",
  persistAuthorization: false, // a key stays in the memory of the page
  validatorUrl: null, // asks no other address
});
