// The form of a model: what stands in its fields is one row; it is sent as it is, and the service says what is wrong.

import "./table.js";
import { showAnswer, showProblem } from "./answer.js";
import { snippets } from "./code.js";
import { control, mark, valueOf } from "./field.js";
import { keepPicture, readNumbers, readPicture, showExample } from "./picture.js";

const LONGEST_NAME = 80; // the service cuts the names that it repeats

const form = () => document.getElementById("form");
const fieldsOf = (part) => [...part.querySelectorAll(".field")];
const fields = () => fieldsOf(form());
const said = (text) => (document.getElementById("announcer").textContent = text);

// The row as JSON, with each number spelled as it was typed.
function row() {
  if (fields()[0].dataset.kind === "row") return control(fields()[0]).value;
  const members = fields()
    .map((field) => [field.dataset.name, valueOf(field)])
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return `{${members.join(",")}}`;
}

function showCode() {
  const { model, path, address, locked } = form().dataset;
  const base = new URL(form().dataset.root, location.href).href.replace(/\/$/, "");
  const found = snippets({ base, path, model, address, locked: locked !== undefined, row: row() });
  for (const place of document.querySelectorAll("[data-code]")) place.textContent = found[place.dataset.code];
}

async function predict() {
  const place = document.getElementById("answer");
  if (place.ariaBusy === "true") return;
  place.ariaBusy = "true"; // a button that is disabled would lose the focus
  let response = null;
  let found = null;
  try {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    response = await fetch(form().action, { method: "POST", headers, body: row() });
    found = await response.json();
  } catch {
    found = null;
  }
  place.ariaBusy = "false";
  clearErrors();
  if (found && response.ok) showAnswer(place, found);
  else if (found) showErrors(place, found);
  else if (response) showProblem(place, `Something other than the service answered, with status ${response.status}.`);
  else showProblem(place, "The service did not answer. Is it still running?");
}

function clearErrors() {
  for (const field of fields()) mark(field, "");
}

function showErrors(place, problem) {
  const named = new Map(fields().map((field) => [[...(field.dataset.name ?? "")].slice(0, LONGEST_NAME).join(""), field]));
  const whole = fields().find((field) => field.dataset.kind === "row");
  const rest = [];
  let first = null;
  for (const { field, message } of problem.errors ?? []) {
    const found = whole ?? named.get(field);
    if (!found || found.querySelector(".error").textContent) rest.push(message);
    else mark(found, message);
    first ??= found;
  }
  showProblem(place, problem.detail, rest);
  if (first) control(first).focus();
}

// Tensors are too large to stand in the page, and a moment is shown in the reader's own zone.
async function fillIn() {
  const untouched = fields().filter((field) => !("touched" in field.dataset));
  for (const input of untouched.flatMap((field) => [...field.querySelectorAll("[data-moment]")])) {
    const moment = new Date(input.dataset.moment);
    if (input.dataset.moment && !Number.isNaN(moment.getTime())) {
      const shown = new Date(moment.getTime() - 60_000 * moment.getTimezoneOffset());
      input.value = shown.toISOString().slice(0, 23);
    }
  }
  showCode();
  const large = untouched.filter((field) => ["list", "image", "row"].includes(field.dataset.kind));
  if (!large.length) return;
  try {
    const response = await fetch(form().dataset.signature, { headers: { Accept: "application/json" } });
    const { inputs } = await response.json();
    const example = Object.fromEntries(inputs.map((field) => [field.name, field.example]));
    for (const field of large.filter((field) => !("touched" in field.dataset))) {
      const value = example[field.dataset.name] ?? null;
      if (field.dataset.kind === "row") control(field).value = JSON.stringify(example, null, 1);
      else if (field.dataset.kind === "image") showExample(field, value);
      else control(field).value = value === null ? "" : JSON.stringify(value);
    }
    showCode();
  } catch {
    showProblem(document.getElementById("answer"), "The example could not be fetched: the service does not answer.");
  }
}

// When another version takes other fields, what was typed stays where the field is still there.
function takeOver(before, focused) {
  const old = new Map(fieldsOf(before).map((field) => [`${field.dataset.kind} ${field.dataset.name}`, field]));
  for (const field of fields()) {
    const found = old.get(`${field.dataset.kind} ${field.dataset.name}`);
    if (found && "touched" in found.dataset && keep(found, field)) field.dataset.touched = "";
    if (found?.contains(focused)) (field.querySelector(`[type=${focused.type}]`) ?? control(field)).focus();
  }
  if (focused?.matches("button")) form().querySelector(`button[type=${focused.type}]`).focus();
  showCode();
}

function keep(before, field) {
  if (field.dataset.kind === "image") return keepPicture(before, field);
  control(field).value = control(before).value; // of a choice that is gone nothing is chosen
  alignSlider(field);
  return true;
}

function alignSlider(field) {
  const [number, slider] = field.querySelectorAll(".pair input");
  if (slider && number.value.trim() && Number.isFinite(Number(number.value))) slider.value = number.value;
}

function begin() {
  if (!form() || form().dataset.ready) return;
  form().dataset.ready = "yes";
  form().querySelector("[type=submit]").disabled = false; // not before there is somebody to send the row
  fillIn();
}

// The form may be exchanged, so nothing is bound to it.
document.addEventListener("input", ({ target }) => {
  const field = form()?.contains(target) && target.closest(".field");
  if (!field) return;
  field.dataset.touched = "";
  mark(field, "");
  if (target.matches(".numbers")) readNumbers(field);
  else if (target.type === "range") control(field).value = target.value;
  else alignSlider(field);
  showCode();
});
document.addEventListener("change", async ({ target }) => {
  const field = form()?.contains(target) && target.closest("[data-kind=image]");
  if (!field || target.matches(".numbers")) return;
  field.dataset.touched = "";
  try {
    await readPicture(field);
    mark(field, "");
    showCode();
  } catch (error) {
    mark(field, error.message);
  }
});
document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  predict();
});
document.addEventListener("reset", (event) => {
  if (event.target !== form()) return;
  clearErrors();
  for (const field of fields()) delete field.dataset.touched;
  setTimeout(fillIn); // after the browser has put everything back
});
document.addEventListener("click", async ({ target }) => {
  if (!target.matches?.(".copy")) return;
  const code = target.closest(".snippet").querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    target.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    target.textContent = "Selected";
  }
  said(target.textContent);
  setTimeout(() => (target.textContent = "Copy"), 1500);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // a file that misses its place would be opened instead of the page
    const place = event.target.closest?.(".drop");
    place?.classList.toggle("over", kind === "dragover");
    if (kind !== "drop" || !place) return;
    const input = place.querySelector("[type=file]");
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
document.addEventListener("exchanged", ({ target, detail: { before, focused } }) => {
  begin();
  if (target === form()) takeOver(before, focused);
});
begin();
