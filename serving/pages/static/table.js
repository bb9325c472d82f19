// Many rows: a CSV file is sent as it is; its answers are shown in part, and given back as a file.

import { element, showProblem } from "./answer.js";

const MOST_ROWS = 50;
const SHOWN_BYTES = 1 << 18;
let sent = 0;

const form = () => document.getElementById("form");
const place = () => document.getElementById("answers");

async function send(file) {
  const turn = (sent += 1);
  const show = (...parts) => turn === sent && place().replaceChildren(...parts);
  show(element("p", `Sending ${file.name} …`));
  let told;
  try {
    const headers = { "Content-Type": "text/csv", Accept: "text/csv" };
    const response = await fetch(`${form().action}?echo=true`, { method: "POST", headers, body: file });
    if (response.ok) {
      show(...(await shown(await response.blob(), file.name)));
      return;
    }
    const { detail, errors = [] } = await response.json();
    told = [detail, errors.map(({ message }) => message)];
  } catch {
    told = ["The file was not answered: the service ended the connection, or the file could not be read."];
  }
  if (turn !== sent) return;
  showProblem(place(), ...told);
  if (/\brow [0-9]/i.test(told[0])) place().append(counting());
}

const counting = () => element("p", "The first row below the header is row 0.", "hint");

async function shown(answers, name) {
  const lines = parse(await answers.slice(0, SHOWN_BYTES).text(), MOST_ROWS + 2);
  const error = lastCell(await answers.slice(-SHOWN_BYTES).text());
  const [head, ...found] = lines;
  const rows = found.filter((row) => !row.at(-1)).slice(0, MOST_ROWS); // the last column is why no more follow
  const all = answers.size <= SHOWN_BYTES && found.length <= MOST_ROWS;
  const file = `${name.replace(/\.csv$/i, "")}-answers.csv`;
  const button = element("button", `Save ${file}`, "quiet");
  button.type = "button";
  button.addEventListener("click", () => save(answers, file));
  const told = all ? `${rows.length} ${rows.length === 1 ? "row" : "rows"}` : `The first ${rows.length} rows; the file has all.`;
  const parts = [element("p", told), tableOf(head, rows), element("p")];
  parts.at(-1).append(button);
  if (!error) return parts;
  return [Object.assign(element("p", `Not all rows were answered. ${error}`, "bad"), { role: "alert" }), counting(), ...parts];
}

function tableOf(head, rows) {
  const table = element("table");
  const top = element("tr");
  top.append(...head.map((text) => Object.assign(element("th", text), { scope: "col" })));
  table.append(element("thead"), element("tbody"));
  table.tHead.append(top);
  for (const row of rows) {
    const line = element("tr");
    line.append(...row.map((text) => element("td", text)));
    table.tBodies[0].append(line);
  }
  const scroll = element("div", "", "scroll");
  Object.assign(scroll, { tabIndex: 0, ariaLabel: "Answers", role: "region" });
  scroll.append(table);
  return scroll;
}

async function saveTemplate(name) {
  try {
    const response = await fetch(form().dataset.signature, { headers: { Accept: "application/json" } });
    const { inputs } = await response.json();
    const cells = inputs.map(({ example }) => (example !== null && typeof example === "object" ? JSON.stringify(example) : String(example ?? "")));
    save(new Blob([`${inputs.map((field) => cell(field.name)).join(",")}\n${cells.map(cell).join(",")}\n`], { type: "text/csv" }), name);
  } catch {
    showProblem(place(), "The example could not be fetched: the service does not answer.");
  }
}

function save(content, name) {
  const link = element("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const cell = (text) => (/[",\r\n]/.test(text) || !text ? `"${text.replaceAll('"', '""')}"` : text);

// The first lines of a CSV text (RFC 4180), without one whose end is not there.
function parse(text, most) {
  const lines = [];
  let line = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n)/gy)) {
    line.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    lines.push(line);
    if (lines.length >= most) break;
    line = [];
  }
  return lines;
}

function lastCell(text) {
  const [, quoted, plain] = text.match(/,(?:"((?:[^"]|"")*)"|([^",\r\n]*))\r?\n$/) ?? [];
  return quoted?.replaceAll('""', '"') ?? plain ?? "";
}

document.addEventListener("change", ({ target }) => {
  if (target.id === "table" && target.files.length) send(target.files[0]);
});
document.addEventListener("click", (event) => {
  if (event.target.id === "table") event.target.value = ""; // the same file may be chosen again, once it is mended
  if (event.target.id !== "template") return;
  event.preventDefault();
  saveTemplate(event.target.download);
});
