// Keeps an open page true: requests the parts that have changed, and says when the connection is lost.
// See docs/live-pages.md. Without this script the page is complete, and reloads itself while something runs.
"use strict";

const main = document.getElementById("main");
const FULL_EVERY_MS = 300_000; // some facts change with the time alone
const TIMEOUT_MS = 8_000;
const SETTLING_MS = 2_000;
const MAX_HEADER = 6_000;

function liveParts() {
  return [...document.querySelectorAll("[data-live][id]")];
}

// Changes only what differs, so that focus, selection, scroll positions and open menus stay.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  const isMenu = old.nodeName === "DETAILS";
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(isMenu && name === "open")) old.removeAttribute(name);
  }
  const kept = new Map();
  for (const child of old.children) if (child.id) kept.set(child.id, child);
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = child.id ? kept.get(child.id) : null;
    if (same) {
      if (same === place) place = place.nextSibling;
      else old.insertBefore(same, place);
      morph(same, child);
    } else if (place && !place.id && !child.id && place.nodeName === child.nodeName) {
      const next = place.nextSibling;
      morph(place, child);
      place = next;
    } else {
      old.insertBefore(child, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// The focused element is gone: the focus goes to the part that it was in, so that Tab continues there.
function keepPlace(part) {
  if (document.activeElement !== document.body) return;
  part.tabIndex = -1;
  part.focus({ preventScroll: true });
}

function apply(parts) {
  const focused = document.activeElement;
  for (const [id, html] of Object.entries(parts)) {
    const old = document.getElementById(id);
    if (!old) return location.reload();
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const fresh = holder.content.firstElementChild;
    enhance(holder.content);
    morph(old, fresh);
    window.htmx?.process(document.getElementById(id));
    if (focused !== document.activeElement && !focused.isConnected) keepPlace(document.getElementById(id));
  }
  const spoken = document.getElementById("spoken");
  if (spoken && "spoken" in parts) document.getElementById("announcement").textContent = spoken.dataset.text;
}

const banner = document.getElementById("connection");
let shownAt = new Date();
let fullAt = Date.now();
let failures = 0;
let timer = 0;
let isAsking = false;

function lost() {
  failures += 1;
  banner.textContent = `The connection to the console is lost. The data is from ${clock.format(shownAt)}. Reconnecting…`;
  banner.hidden = false;
}

function answered() {
  failures = 0;
  shownAt = new Date();
  banner.hidden = true;
}

async function ask() {
  if (isAsking || document.hidden) return;
  isAsking = true;
  clearTimeout(timer);
  const isFull = Date.now() - fullAt > FULL_EVERY_MS;
  const marks = liveParts().map((part) => `${part.id}=${part.dataset.live}`).join(",");
  const headers = { "Live-Parts": marks.length < MAX_HEADER ? marks : "", "Live-Reader": main.dataset.reader, "If-None-Match": isFull ? "" : `"${main.dataset.version}"` };
  try {
    const address = location.href;
    const response = await fetch(address, { headers, cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.status === 304) answered();
    else if (response.ok && response.headers.get("Content-Type") === "application/json") {
      const { version, parts } = await response.json();
      answered();
      if (isFull) fullAt = Date.now();
      if (address === location.href) {
        apply(parts);
        main.dataset.version = version;
      }
    } else if (response.type === "opaqueredirect" || [401, 403, 404].includes(response.status)) return location.reload();
    else lost();
  } catch {
    lost();
  } finally {
    isAsking = false;
    plan();
  }
}

function plan() {
  clearTimeout(timer);
  const idle = Number(main.dataset.idleMs) * (0.8 + 0.2 * Math.random()); // pages do not ask together
  const busy = Number(main.dataset.busyMs);
  let wait = document.querySelector("[data-busy]") ? busy : main.dataset.version === "" ? Math.min(SETTLING_MS, idle) : idle;
  if (failures) wait = Math.min(idle, busy * 2 ** Math.min(failures - 1, 4));
  timer = setTimeout(ask, wait);
}

if (main && "version" in main.dataset && liveParts().length) {
  document.addEventListener("visibilitychange", ask);
  window.addEventListener("online", ask);
  window.addEventListener("pageshow", (event) => event.persisted && ask());
  plan();
}
