// Elements, text and numbers. Whatever comes from the host becomes text here, never markup.

/** Makes an element: h("a", { href: "#/x", class: "y" }, "text", child). Functions named on… are listeners. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  element.append(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return element;
}

/** Puts children in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(4).filter(Boolean));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A small line of numbers, the newest on the right. For the eye only: the number beside it says the same. */
export function spark(values, width = 96, height = 22) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  const most = Math.max(1, ...values);
  const step = width / 59;
  const from = width - step * (values.length - 1);
  const points = values.map((value, at) => `${(from + at * step).toFixed(1)},${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

/** A band of lanes, each in the colour of its owner; -1 is nobody. For the eye only: the ranges beside it say the same. */
export function bands(owners) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${owners.length} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "bands");
  svg.setAttribute("aria-hidden", "true");
  const gap = Math.min(0.08, owners.length * 0.0015);
  owners.forEach((owner, lane) => {
    const band = document.createElementNS(SVG, "rect");
    band.setAttribute("x", lane + gap / 2);
    band.setAttribute("width", 1 - gap);
    band.setAttribute("height", 1);
    band.setAttribute("class", owner < 0 ? "nobody" : `host-${owner % 6}`);
    svg.append(band);
  });
  return svg;
}

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (number) => (number === null || number === undefined ? "–" : whole.format(number));
export const rate = (number) => (number === null ? "–" : number >= 100 ? whole.format(Math.round(number)) : short.format(number));

/** A number of seconds in words as short as they can be read. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.0005) return "0 s";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${short.format(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export const bytes = (size) =>
  size < 1024 ? `${size} B` : size < 1048576 ? `${short.format(size / 1024)} KiB` : `${short.format(size / 1048576)} MiB`;

/** A time of the host, as this browser's clock shows it; the whole in the title. */
export function moment(text, withDate = true) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return h("span", {}, text ?? "–");
  const part = (number, digits = 2) => String(number).padStart(digits, "0");
  const clock = `${part(time.getHours())}:${part(time.getMinutes())}:${part(time.getSeconds())}.${part(time.getMilliseconds(), 3)}`;
  const date = `${time.getFullYear()}-${part(time.getMonth() + 1)}-${part(time.getDate())}`;
  return h("time", { datetime: text, title: text, class: "mono" }, withDate ? `${date} ${clock}` : clock);
}

/** What the host shows of data: JSON laid out, text as it is, the beginning of what is long. */
export function data(of) {
  if (of.data_cut !== undefined) return { text: of.data_cut, note: `the beginning of ${bytes(of.size)}` };
  if (of.data_cut_base64 !== undefined) return { text: of.data_cut_base64, note: `base 64, the beginning of ${bytes(of.size)}` };
  if (of.data_base64 !== undefined) return { text: of.data_base64, note: "base 64" };
  if (of.data === undefined) return { text: "", note: "no data" };
  return value(of.data);
}

/** A JSON value, laid out. */
export function value(json) {
  if (typeof json === "string") return { text: json, note: "text" };
  if (json && typeof json === "object" && Object.keys(json).length === 1 && typeof json.base64 === "string") {
    return { text: json.base64, note: "base 64" };
  }
  return { text: JSON.stringify(json, null, 2), note: "JSON" };
}

/** The same in one line. */
export function line(of) {
  const shown = of.data === undefined || typeof of.data === "string" ? data(of).text : JSON.stringify(of.data);
  return shown.replace(/\s+/g, " ");
}

export const oneLine = (json) => (typeof json === "string" ? json : JSON.stringify(json) ?? "").replace(/\s+/g, " ");

/** Calls `then` when nothing was typed for a moment. */
export function later(then, pause = 250) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => then(...given), pause);
  };
}
