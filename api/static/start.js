// Apart from the page, so that the page needs no inline code.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
});

// Swagger UI puts the cursor into the last field of its dialogue; most people want the first.
document.addEventListener("click", (event) => {
  if (event.target.closest(".auth-wrapper > .authorize")) {
    requestAnimationFrame(() => document.querySelector("#oauth_username")?.focus());
  }
});
