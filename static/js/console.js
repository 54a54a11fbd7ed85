// Comfort on top of pages that work without it: copy buttons, and times in the reader's zone.
"use strict";

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const zone = clock.resolvedOptions().timeZone;

const labelForms = {
  hour: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  day: new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" }),
};

const minute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const units = [[86_400, "d"], [3_600, "h"], [60, "min"]];

// The same words as vbase_console/core/quantities.py.
function relation(at) {
  const seconds = (Date.now() - at) / 1000;
  const distance = Math.abs(seconds);
  if (distance > 30 * 86_400) return day.format(at);
  const unit = units.find(([length]) => distance >= length);
  if (!unit) return seconds >= 0 ? "just now" : "in a moment";
  const amount = `${Math.floor(distance / unit[0])} ${unit[1]}`;
  return seconds >= 0 ? `${amount} ago` : `in ${amount}`;
}

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const exact = `${clock.format(at)}, ${zone}`;
    const text = "exact" in time.dataset ? minute.format(at) : relation(at);
    if (time.textContent !== text) time.textContent = text;
    if (time.title !== exact) time.title = exact;
  }
}

// Titles of cells and of shapes in pictures have no place for an element.
function inZone(text) {
  return text.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC/g, (_, date, time) => minute.format(new Date(`${date}T${time}Z`)));
}

function showTimesOfTitles(root) {
  for (const cell of root.querySelectorAll(".strip a[title*=' UTC']")) {
    cell.title = inZone(cell.title);
    cell.firstElementChild.textContent = cell.title;
  }
  for (const title of root.querySelectorAll(".chart title")) {
    const text = inZone(title.textContent);
    if (title.textContent !== text) title.textContent = text;
  }
}

// A day begins at the reader's midnight, and times are round on the reader's clock.
function showLabel(label) {
  const { at, form, step, window: seconds } = label.dataset;
  const time = new Date(at);
  const minutes = Math.round((time.getHours() * 60 + time.getMinutes()) / step) * step;
  const round = new Date(time.getFullYear(), time.getMonth(), time.getDate(), 0, minutes);
  const x = parseFloat(label.getAttribute("x")) + ((round - time) / 10 / seconds);
  label.setAttribute("x", `${x}%`);
  label.textContent = x >= 2 && x <= 96 ? labelForms[form].format(round) : "";
}

function enhance(root = document) {
  if (!root.querySelectorAll) root = document;
  showTimes(root);
  showTimesOfTitles(root);
  for (const label of root.querySelectorAll("text[data-at]:not([data-local])")) {
    label.dataset.local = "";
    showLabel(label);
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
  closeMenusWithout(event.target);
});

function closeMenusWithout(element) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(element)) menu.open = false;
  }
}

// An open menu covers what is behind it, so the Tab key closes the menu that it leaves.
document.addEventListener("focusin", (event) => closeMenusWithout(event.target));
// Shortcuts: "/" and "?" alone, "g" and a letter for a page. The list is in the navigation.
const CHORD_MS = 1500;
let chordUntil = 0;
let beforeShortcuts = null; // element with the focus before "?"

function followShortcut(key) {
  if (key === "/") {
    const search = document.getElementById("search-text") ?? document.getElementById("to-search");
    search?.focus();
    if (search?.href) search.click();
    return Boolean(search);
  }
  const shortcuts = document.getElementById("shortcuts");
  if (key === "?" && shortcuts) {
    if (!shortcuts.open) beforeShortcuts = document.activeElement;
    shortcuts.open = true;
    shortcuts.querySelector(".panel").focus();
    return true;
  }
  if (Date.now() > chordUntil) {
    if (key === "g") chordUntil = Date.now() + CHORD_MS;
    return false;
  }
  chordUntil = 0;
  const up = [...document.querySelectorAll(".crumb a")].at(-1);
  const target = key === "u" ? up : [...document.querySelectorAll("nav a[data-key]")].find((link) => link.dataset.key === key);
  target?.click();
  return Boolean(target);
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (followShortcut(event.key)) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  const back = menu.id === "shortcuts" && beforeShortcuts?.isConnected ? beforeShortcuts : menu.querySelector("summary");
  (back === document.body ? document.getElementById("main") : back).focus();
  beforeShortcuts = null;
});
document.addEventListener("htmx:beforeRequest", (event) => event.detail.target?.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", (event) => event.detail.target?.removeAttribute("aria-busy"));
for (const name of ["DOMContentLoaded", "htmx:afterSwap", "htmx:oobAfterSwap"]) {
  document.addEventListener(name, () => enhance());
}
enhance();
setInterval(() => showTimes(document), 20_000);
