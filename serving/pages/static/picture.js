// A picture as a model takes it: so many rows of so many numbers between its black and its white.

const facts = (field) => JSON.parse(field.dataset.image);
const brushOf = (field) => field.querySelector("canvas").getContext("2d", { willReadFrequently: true });
const sources = new WeakMap(); // what each field's tensor is made of: a picture, or the tensor of the example
const values = new WeakMap(); // the JSON of each field's tensor

export const pictureOf = (field) => values.get(field);

export async function readPicture(field) {
  const input = field.querySelector("[type=file]");
  const [file] = input.files;
  if (file) {
    const { width, height } = facts(field);
    try {
      sources.set(field, await createImageBitmap(file, { resizeWidth: width, resizeHeight: height, resizeQuality: "high" }));
    } catch {
      input.value = "";
      throw new Error(`${file.name} is no picture that this browser can read. The one that is shown stays.`);
    }
  }
  paint(field);
}

// Numbers that are written by hand; as a picture they are shown once they are as many as it has.
export function readNumbers(field) {
  const text = field.querySelector(".numbers").value;
  const found = parsed(text);
  values.set(field, Array.isArray(found) ? text : JSON.stringify(text));
  sources.set(field, found);
  field.querySelector(".inverted").checked = false;
  if (Array.isArray(found)) draw(field, found);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function showExample(field, tensor) {
  sources.set(field, tensor);
  paint(field);
}

// Whether the picture of one field became that of another one, which takes such pictures, too.
export function keepPicture(before, field) {
  if (field.dataset.image !== before.dataset.image || !sources.get(before)) return false;
  sources.set(field, sources.get(before));
  field.querySelector(".inverted").checked = before.querySelector(".inverted").checked;
  paint(field);
  return true;
}

function paint(field) {
  const source = sources.get(field);
  if (!source) return;
  const inverted = field.querySelector(".inverted").checked;
  const { width, height } = facts(field);
  if (Array.isArray(source)) {
    const tensor = inverted ? exchanged(source, facts(field)) : source;
    draw(field, tensor);
    keep(field, tensor);
    return;
  }
  const brush = brushOf(field);
  brush.fillStyle = "white"; // below what is transparent
  brush.fillRect(0, 0, width, height);
  brush.drawImage(source, 0, 0);
  const pixels = brush.getImageData(0, 0, width, height);
  if (inverted) {
    for (let i = 0; i < pixels.data.length; i += 1) if (i % 4 !== 3) pixels.data[i] = 255 - pixels.data[i];
    brush.putImageData(pixels, 0, 0);
  }
  keep(field, asTensor(pixels.data, facts(field)));
}

function keep(field, tensor) {
  values.set(field, JSON.stringify(tensor));
  const numbers = field.querySelector(".numbers");
  if (numbers) numbers.value = JSON.stringify(tensor).replaceAll("],[", "],\n[");
}

function draw(field, tensor) {
  const { width, height } = facts(field);
  const pixels = asPixels(tensor, facts(field));
  brushOf(field).putImageData(new ImageData(pixels, width, height), 0, 0);
}

function exchanged(tensor, range) {
  if (Array.isArray(tensor)) return tensor.map((part) => exchanged(part, range));
  return Number((range.low + range.high - tensor).toPrecision(6));
}

function asTensor(data, { width, height, channels, channels_first, flat, low, high, whole }) {
  const scaled = (share) => (whole ? Math.round(low + share * (high - low)) : Number((low + share * (high - low)).toPrecision(6)));
  const at = (x, y, channel) => {
    const i = 4 * (y * width + x);
    if (channels > 1) return scaled(data[i + channel] / 255);
    return scaled((0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]) / 255);
  };
  const grid = (cell) => Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => cell(x, y)));
  if (flat) return grid((x, y) => at(x, y, 0));
  const all = Array.from({ length: channels }, (_, channel) => channel);
  return channels_first ? all.map((channel) => grid((x, y) => at(x, y, channel))) : grid((x, y) => all.map((channel) => at(x, y, channel)));
}

function asPixels(tensor, { width, height, channels, channels_first, flat, low, high }) {
  const data = new Uint8ClampedArray(4 * width * height);
  const value = (x, y, channel) => (flat ? tensor[y]?.[x] : channels_first ? tensor[channel]?.[y]?.[x] : tensor[y]?.[x]?.[channel]);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const i = 4 * (y * width + x);
      for (let channel = 0; channel < 3; channel += 1) {
        data[i + channel] = (255 * (value(x, y, channels > 2 ? channel : 0) - low)) / (high - low || 1);
      }
      data[i + 3] = 255;
    }
  }
  return data;
}
