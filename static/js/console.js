// Comfort on top of pages that work without it: copy buttons, and times in the reader's zone.
"use strict";

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const zone = clock.resolvedOptions().timeZone;

function enhance(root = document) {
  if (!root.querySelectorAll) root = document;
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    time.dataset.local = "";
    time.textContent = clock.format(new Date(time.dateTime));
  }
  for (const button of root.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
  for (const name of root.querySelectorAll("[data-own-zone]")) name.textContent = `Your time, ${zone}`;
  for (const table of root.querySelectorAll("table[data-zone]")) {
    for (const cell of table.querySelectorAll("tr > :nth-child(2)")) cell.hidden = table.dataset.zone === zone;
  }
  for (const button of root.querySelectorAll("button[data-fill-zone]")) {
    button.textContent = `Use ${zone}`;
    button.hidden = document.getElementById(button.dataset.fillZone).value === zone;
  }
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (button.textContent = said), 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
  const filler = event.target.closest("button[data-fill-zone]");
  if (filler) {
    const field = document.getElementById(filler.dataset.fillZone);
    field.value = zone;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const search = document.getElementById("search-text") ?? document.getElementById("to-search");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !search) return;
  event.preventDefault();
  search.focus();
  if (search.href) search.click();
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
for (const name of ["DOMContentLoaded", "htmx:afterSwap", "htmx:oobAfterSwap"]) {
  document.addEventListener(name, () => enhance());
}
enhance();
