// A field of the form: what stands in it as JSON, and what is wrong with it.

import { pictureOf } from "./picture.js";

const NUMBER = /^([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]+)?$/;

export const control = (field) => field.querySelector("input:not([type=range], .inverted), select, textarea");

const READ = {
  number: asNumber,
  choice: (text) => text,
  text: (text) => JSON.stringify(text),
  date: (text) => JSON.stringify(text),
  local: (text) => JSON.stringify(text),
  zoned: (text) => JSON.stringify(new Date(text).toISOString()),
  list: asList,
};

// The JSON of a field's value; undefined where nothing stands in it.
export function valueOf(field) {
  const { kind } = field.dataset;
  const nothing = "nullable" in field.dataset ? "null" : undefined;
  if (kind === "image") return pictureOf(field) ?? nothing;
  const { value, validity } = control(field);
  if (validity.badInput) return '""'; // half a date is none, and the service says so
  const text = kind === "text" ? value : value.trim();
  return text === "" && (kind !== "text" || nothing) ? nothing : READ[kind](text);
}

// As it was typed, for no rounding is ours to make; only 5. and .5 and +5 are spelled otherwise in JSON.
function asNumber(text) {
  const [, sign, whole, part, power] = text.match(NUMBER) ?? [];
  if (sign === undefined || !/[0-9]/.test(text.replace(/e.*/i, ""))) return JSON.stringify(text);
  return `${sign === "-" ? "-" : ""}${whole || "0"}${part ? `.${part}` : ""}${power ?? ""}`;
}

function asList(text) {
  for (const attempt of [text, `[${text}]`, `[${text.split(/[\s,;]+/).filter(Boolean)}]`]) {
    try {
      if (Array.isArray(JSON.parse(attempt))) return attempt;
    } catch {
      continue;
    }
  }
  return JSON.stringify(text);
}

export function mark(field, message) {
  const comma = message && field.dataset.kind === "number" && control(field).value.includes(",");
  field.querySelector(".error").textContent = comma ? `${message} Write 1.5, not 1,5.` : message;
  if (message) control(field).setAttribute("aria-invalid", "true");
  else control(field).removeAttribute("aria-invalid");
}
