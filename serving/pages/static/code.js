// The code that sends the same row: for a shell, for Python, and for a browser.

const MOST_LETTERS = 40_000;

const python = (json) =>
  json.replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (word) => ({ true: "True", false: "False", null: "None" })[word] ?? word);
const spaced = (json) => json.replace(/"(?:[^"\\]|\\.)*"|[,:](?!\s)/g, (word) => (/^[,:]$/.test(word) ? `${word} ` : word));
// An object where a script sends the same by it, else the text: 9007199254740993 is no number of a script's.
const script = (json) =>
  /(^|[^.0-9])[0-9]{16}|"__proto__"/.test(json) ? JSON.stringify(spaced(json)) : `JSON.stringify(${spaced(json)})`;
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
// A shell takes no argument of more than 128 KiB.
const argument = (text) => (text.length < MOST_LETTERS ? quoted(text) : `@- <<'ROW'\n${text}\nROW`);

// Where the service asks for a key, a program finds it in LECTERN_API_KEY, and a page of the service's own need not send it.
export function snippets({ base, path, model, address, locked, row }) {
  const socket = address.startsWith("unix:") && address.slice(5);
  const reached = socket ? "http://localhost" : address || base;
  const version = path.match(/\/versions\/([0-9]+)\//)?.[1];
  const which = `"${model}"${version ? `, version=${version}` : ""}`;
  return {
    curl: [
      `curl -X POST ${socket ? `--unix-socket ${quoted(socket)} ` : ""}${quoted(`${reached}/${path}`)} \\`,
      "  -H 'Content-Type: application/json' \\",
      ...(locked ? ['  -H "Authorization: Bearer $LECTERN_API_KEY" \\'] : []),
      `  -d ${argument(spaced(row))}`,
    ].join("\n"),
    Python: [
      `from serving.client import Client${locked ? "  # which sends the key in LECTERN_API_KEY" : ""}`,
      "",
      `model = Client(${JSON.stringify(address || base)}).model(${which})`,
      `model.predict(${spaced(python(row))})`,
    ].join("\n"),
    JavaScript: [
      `const response = await fetch(${JSON.stringify(`${base}/${path}`)}, {`,
      '  method: "POST",',
      '  headers: { "Content-Type": "application/json" },',
      `  body: ${script(row)},`,
      "});",
      "console.log(await response.json());",
    ].join("\n"),
  };
}
