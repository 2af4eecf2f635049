/* Line charts, drawn to the width there is. data: {title, x, y, height, logx, marks, series: [{name, color, dash, x, y,
   group}], start}. x and y: {label, unit}. Series with a group show only while that group is chosen in the slider. */
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function ticks(low, high, most) {
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(k => k * power).find(k => k >= raw);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(+(k * step).toPrecision(12));
  return found;
}

function logTicks(low, high) {
  const between = parts => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const part of parts) { const value = part * 10 ** power; if (value >= low && value <= high) found.push(+value.toPrecision(6)); }
    return found;
  };
  const coarse = between([1, 2, 5]);
  return coarse.length < 4 ? between([1, 1.5, 2, 3, 4, 5, 7]) : coarse;
}

const plain = value => Math.abs(value) >= 1000 ? value.toLocaleString("en") : String(+value.toPrecision(4));

MOUNT.chart = (root, data) => {
  const hidden = new Set();
  let group = data.start, time = null;
  const legend = make("div", { class: "legend" }), plot = make("div", { class: "plot" }), tip = make("div", { class: "tip" });
  root.append(make("h3", {}, data.title), legend, plot);
  const color = series => `var(--c${series.color})`;
  const shown = () => data.series.filter(series => (!series.group || series.group === group));
  const sample = series => {
    const node = svg("svg", { viewBox: "0 0 22 10" });
    node.append(svg("line", { x1: 1, y1: 5, x2: 21, y2: 5, stroke: color(series), "stroke-width": 2.4, "stroke-linecap": "round", "stroke-dasharray": series.dash || "none" }));
    if (data.marks) node.append(svg("circle", { cx: 11, cy: 5, r: 4, fill: color(series) }));
    return node;
  };

  function draw() {
    if (data.series.length > 1) legend.replaceChildren(...shown().map(series => make("button", { type: "button", "aria-pressed": !hidden.has(series.name),
      onclick: () => { hidden.has(series.name) ? hidden.delete(series.name) : hidden.add(series.name); draw(); } }, sample(series), series.name)));
    const visible = shown().filter(series => !hidden.has(series.name));
    const width = plot.clientWidth || 600, height = data.height || 260;
    const box = { left: 46, right: width - 10, top: 22, bottom: height - 40 };
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": data.title });
    plot.replaceChildren(picture, tip);
    // Hidden curves keep their say in the scales: hiding one should not move the others.
    const xs = shown().flatMap(series => series.x), ys = shown().flatMap(series => series.y);
    if (!xs.length) return;
    let [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    let [y0, y1] = [data.fromZero ? 0 : Math.min(...ys), Math.max(...ys)];
    if (data.marks) [x0, x1] = data.logx ? [x0 / 1.25, x1 * 1.25] : [x0 - (x1 - x0) * .06, x1 + (x1 - x0) * .06];
    const pad = (y1 - y0 || 1) * .07; y1 += pad; if (!data.fromZero) y0 -= pad;
    const sx = data.logx ? Math.log : value => value;
    const px = value => box.left + (sx(value) - sx(x0)) / ((sx(x1) - sx(x0)) || 1) * (box.right - box.left);
    const py = value => box.bottom - (value - y0) / (y1 - y0) * (box.bottom - box.top);

    for (const value of ticks(y0, y1, Math.max(3, height / 60))) {
      picture.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: py(value), y2: py(value) }),
        svg("text", { x: box.left - 8, y: py(value) + 4, "text-anchor": "end" }, plain(value)));
    }
    let edge = -Infinity;
    for (const value of data.logx ? logTicks(x0, x1) : ticks(x0, x1, Math.max(3, width / 90))) {
      picture.append(svg("line", { class: "grid", x1: px(value), x2: px(value), y1: box.bottom, y2: box.bottom + 5 }));
      if (px(value) - edge < 38) continue;
      edge = px(value);
      picture.append(svg("text", { x: px(value), y: box.bottom + 19, "text-anchor": "middle" }, plain(value)));
    }
    picture.append(svg("text", { class: "axis", x: 0, y: 10 }, data.y.label + (data.y.unit ? `, ${data.y.unit}` : "")),
      svg("text", { class: "axis", x: box.right, y: height - 3, "text-anchor": "end" }, data.x.label + (data.x.unit ? `, ${data.x.unit}` : "")));
    for (const series of visible) {
      const path = series.x.map((value, k) => `${k ? "L" : "M"}${px(value).toFixed(1)} ${py(series.y[k]).toFixed(1)}`).join("");
      picture.append(svg("path", { class: "curve", d: path, stroke: color(series), "stroke-dasharray": series.dash || "none" }));
      if (data.marks) series.x.forEach((value, k) => picture.append(svg("circle", { class: "mark", cx: px(value), cy: py(series.y[k]), r: 6, fill: color(series) })));
    }
    const head = svg("line", { class: "playhead", y1: box.top, y2: box.bottom, visibility: "hidden" });
    const cross = svg("line", { class: "cross", y1: box.top, y2: box.bottom, visibility: "hidden" });
    const dots = svg("g");
    picture.append(head, cross, dots);
    root.playhead = () => {
      if (data.marks || time === null) return;
      for (const [name, value] of [["x1", px(time)], ["x2", px(time)], ["visibility", "visible"]]) head.setAttribute(name, value);
    };
    root.playhead();

    picture.addEventListener("pointermove", event => {
      const at = event.clientX - picture.getBoundingClientRect().left, high = event.clientY - picture.getBoundingClientRect().top;
      const near = visible.map(series => {
        const far = series.x.map((value, k) => Math.hypot(px(value) - at, data.marks ? py(series.y[k]) - high : 0));
        const k = far.indexOf(Math.min(...far));
        return { series, k, far: far[k] };
      });
      if (!near.length) return;
      const best = near.reduce((a, b) => a.far <= b.far ? a : b);
      const told = data.marks ? [best] : near.filter(item => item.series.x[item.k] === best.series.x[best.k]);
      told.sort((a, b) => b.series.y[b.k] - a.series.y[a.k]);
      const x = px(best.series.x[best.k]);
      for (const [name, value] of [["x1", x], ["x2", x], ["visibility", "visible"]]) cross.setAttribute(name, value);
      dots.replaceChildren(...told.map(item => svg("circle", { class: "mark", cx: x, cy: py(item.series.y[item.k]), r: data.marks ? 7.5 : 5, fill: color(item.series) })));
      tip.replaceChildren(make("b", {}, `${plain(best.series.x[best.k])} ${data.x.unit}`), ...told.map(item => {
        const line = make("div", {}, make("i"), item.series.name, make("span", {}, `${plain(item.series.y[item.k])} ${data.y.unit || ""}`));
        line.style.setProperty("--c", color(item.series));
        return line;
      }));
      const side = x + 16 + tip.offsetWidth > width ? x - 16 - tip.offsetWidth : x + 16;
      tip.style.transform = `translate(${Math.max(0, side)}px, ${box.top}px)`;
      tip.style.opacity = 1;
    });
    picture.addEventListener("pointerleave", () => { tip.style.opacity = 0; cross.setAttribute("visibility", "hidden"); dots.replaceChildren(); });
    if (!data.marks) picture.addEventListener("click", event => {
      const share = (event.clientX - picture.getBoundingClientRect().left - box.left) / (box.right - box.left);
      document.dispatchEvent(new CustomEvent("vivae:seek", { detail: x0 + share * (x1 - x0) }));
    });
  }
  new ResizeObserver(draw).observe(plot);
  document.addEventListener("vivae:time", event => { time = event.detail; if (root.playhead) root.playhead(); });
  document.addEventListener("vivae:choice", event => {
    if (data.series.some(series => series.group === event.detail.group)) { group = event.detail.group; draw(); }
  });
};
