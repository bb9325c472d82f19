// What is shown stays true: the page is asked for again and again, and the parts of it that changed are exchanged.

const EVERY_MS = 500;
const PATIENCE_MS = 5000;
let tag = null;
let failures = 0;

async function look() {
  const lost = document.getElementById("lost");
  try {
    const headers = { Accept: "text/html", ...(tag && { "If-None-Match": tag }) };
    const response = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status >= 500) throw response; // a proxy says so where nobody answers it
    failures = 0;
    lost.hidden = true;
    const found = response.headers.get("etag"); // a proxy may take it away
    if (!response.ok || (found && found === tag)) return;
    exchange(new DOMParser().parseFromString(await response.text(), "text/html"));
    tag = found;
  } catch {
    failures += 1;
    lost.hidden = failures < 3;
  }
}

function exchange(page) {
  const before = said(document);
  for (const part of document.querySelectorAll("[data-live]")) {
    const found = page.getElementById(part.id);
    const key = part.dataset.key;
    if (!part.isConnected || !found || (key ? key === found.dataset.key : part.outerHTML === found.outerHTML)) continue;
    const made = document.importNode(found, true);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    part.replaceWith(made);
    if (focused) like(made, focused)?.focus({ preventScroll: true });
    made.dispatchEvent(new CustomEvent("exchanged", { bubbles: true, detail: { before: part, focused } }));
  }
  const now = said(document);
  if (now !== before) document.getElementById("announcer").textContent = now;
}

// The element of a new part that is what had the focus in the old one.
function like(part, element) {
  const opening = (found) => found.cloneNode().outerHTML;
  return [...part.querySelectorAll(element.tagName)].find((found) => opening(found) === opening(element));
}

function said(page) {
  return page.querySelector("[data-announce]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
}

async function goOn() {
  if (!document.hidden) await look();
  setTimeout(goOn, EVERY_MS);
}

if (document.querySelector("[data-live]")) goOn();
