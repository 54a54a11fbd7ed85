const place = document.getElementById("docs");
const root = document.documentElement;
const system = window.matchMedia("(prefers-color-scheme: dark)");

// Swagger UI has a dark look under this class. The account menu goes before the system.
function applyAppearance() {
  const { appearance } = root.dataset;
  root.classList.toggle("dark-mode", appearance === "dark" || (appearance !== "light" && system.matches));
}

system.addEventListener("change", applyAppearance);
applyAppearance();

// Swagger UI gives its lists of examples no name.
function nameLists() {
  for (const list of place.querySelectorAll("select.examples-select-element:not([aria-label])")) list.setAttribute("aria-label", "Example");
}

new MutationObserver(nameLists).observe(place, { childList: true, subtree: true });
window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: false,
  docExpansion: "list",
  validatorUrl: null,
});
