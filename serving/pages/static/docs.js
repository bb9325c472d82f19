// The reader of the API's document, set up as FastAPI does, with addresses that any prefix suits.

const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: new URL(place.dataset.document, location.href).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset].filter(Boolean),
  showCommonExtensions: true,
  showExtensions: true,
});
