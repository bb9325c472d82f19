// The answer: what the model says, how sure it is, and what it has never seen. Everything is text, nothing is markup.

const MOST_BARS = 12;
const MOST_ROWS = 50;

export function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// A number as the API spells it, but for decimals that nobody reads.
function figure(value) {
  if (typeof value !== "number") return typeof value === "string" && value ? value : JSON.stringify(value);
  if (Number.isInteger(value)) return String(value);
  return String(Number(Math.abs(value) >= 0.001 ? value.toFixed(4) : value.toPrecision(4)));
}

export function showAnswer(place, found) {
  place.replaceChildren(...(found.predictions ? [several(found)] : parts(found)));
  place.firstElementChild.scrollIntoView({ block: "nearest" }); // on a narrow screen it stands below the form
}

function parts(found) {
  const parts = [prediction(found.prediction)];
  if (found.confidence !== undefined) parts.push(element("p", `confidence ${percent(found.confidence)}`));
  if (found.score !== undefined) parts.push(element("p", `decision value ${figure(found.score)}`));
  if (found.probabilities) parts.push(bars(found.probabilities, found.prediction));
  if (found.scores) parts.push(figures(found.scores));
  if (found.warnings?.length) parts.push(warnings(found.warnings));
  parts.push(element("p", `${found.model} version ${found.version}, prediction ${found.id}`, "hint"));
  return parts;
}

export function showProblem(place, detail, rest = []) {
  const told = element("div", "", "bad");
  told.setAttribute("role", "alert");
  told.append(element("p", detail));
  const more = rest.filter((line) => !detail.startsWith(line));
  if (more.length) {
    const list = element("ul");
    list.append(...more.map((line) => element("li", line)));
    told.append(list);
  }
  place.replaceChildren(told);
  told.scrollIntoView({ block: "nearest" });
}

// A key of an object is a text, where the class itself may be 1.0, which a script reads as 1.
function isChosen(name, value) {
  const chosen = Array.isArray(value) ? value : [value];
  return chosen.some((each) => String(each) === name || (typeof each === "number" && each === Number(name)));
}

const percent = (share) => `${Number((100 * share).toFixed(share > 0.0005 && share < 0.9995 ? 1 : 3))} %`;

function prediction(value) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return figures(value);
  if (Array.isArray(value)) return element("p", value.length ? value.map(figure).join(", ") : "none of the labels", "said");
  return element("p", figure(value), "said");
}

// A list was sent where the row is written as JSON.
function several({ predictions }) {
  const list = element("ol");
  for (const found of predictions.slice(0, MOST_ROWS)) {
    const line = element("li");
    line.append(prediction(found.prediction));
    list.append(line);
  }
  if (predictions.length > MOST_ROWS) list.append(element("p", `and ${predictions.length - MOST_ROWS} more`, "hint"));
  return list;
}

function figures(named) {
  const list = element("dl", "", "figures");
  for (const [name, value] of Object.entries(named)) {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", figure(value)));
    list.append(pair);
  }
  return list;
}

function bars(shares, predicted) {
  const list = element("ul", "", "bars");
  const sorted = Object.entries(shares).sort((one, other) => other[1] - one[1]);
  for (const [name, share] of sorted.slice(0, MOST_BARS)) {
    const line = element("li", "", isChosen(name, predicted) ? "most" : "");
    const meter = element("meter");
    meter.max = 1;
    meter.value = share;
    meter.setAttribute("aria-label", `probability of ${name}`);
    line.append(element("b", name || '""'), element("span", percent(share)), meter);
    list.append(line);
  }
  if (sorted.length > MOST_BARS) list.append(element("li", `and ${sorted.length - MOST_BARS} less likely`, "hint"));
  return list;
}

function warnings(found) {
  const list = element("ul", "", "warnings");
  list.setAttribute("aria-label", "Warnings");
  list.append(...found.map(({ field, message }) => element("li", message.includes(field) ? message : `${field}: ${message}`)));
  return list;
}
