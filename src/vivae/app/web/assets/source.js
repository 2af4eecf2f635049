/* A clip to look through and to point into. data: {media, width, height, times, duration}. Tells the page around it
   where it stands and what was pointed at, in pixels of the video, by the event "vivae:seen". */
MOUNT.source = (root, data) => {
  const player = new Player(data.times, data.duration);
  const stage = make("div", { class: "stage source" });
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  stage.style.setProperty("--ratio", data.width / data.height);
  const video = make("video", { "aria-label": "The clip" });
  const mask = make("img", { class: "mask", alt: "", hidden: "" });
  const marks = make("div", { class: "marks" });
  const rubber = make("div", { class: "rubber", hidden: "" });
  const tag = make("div", { class: "tag l" }, data.title);
  stage.append(video, mask, marks, rubber, tag);
  let mode = "watch", points = [];

  const tell = () => parent.document.dispatchEvent(new parent.CustomEvent("vivae:seen", {
    detail: { time: player.times[player.index], frame: player.index, points: points.map(({ node, ...point }) => point) },
  }));
  const share = event => {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(v => Math.max(0, Math.min(1, v)));
  };
  const clear = () => { points = []; marks.replaceChildren(); mask.hidden = true; };
  const percent = value => 100 * value + "%";
  const lay = (node, [x, y], [right, bottom] = [x, y]) => {
    Object.assign(node.style, { left: percent(x), top: percent(y), width: percent(right - x), height: percent(bottom - y) });
  };
  let from = null;
  stage.addEventListener("pointerdown", event => {
    if (mode === "watch") { player.toggle(); return; }
    player.stop();
    from = share(event);
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", event => {
    if (!from || mode !== "box") return;
    const to = share(event);
    lay(rubber, from.map((v, k) => Math.min(v, to[k])), from.map((v, k) => Math.max(v, to[k])));
    rubber.hidden = false;
  });
  stage.addEventListener("pointerup", event => {
    if (!from) return;
    const to = share(event), low = from.map((v, k) => Math.min(v, to[k])), high = from.map((v, k) => Math.max(v, to[k]));
    const time = player.times[player.index];
    rubber.hidden = true; from = null;
    if (mode === "box" && (high[0] - low[0]) * data.pixels[0] < 4) return;
    clear();
    const [wide, tall] = data.pixels, node = make("i", { class: mode });
    if (mode === "box") {
      lay(node, low, high);
      points = [{ x: Math.round(low[0] * wide), y: Math.round(low[1] * tall), width: Math.round((high[0] - low[0]) * wide), height: Math.round((high[1] - low[1]) * tall), time }];
    } else {
      lay(node, to);
      points = [{ x: Math.min(wide - 1, Math.floor(to[0] * wide)), y: Math.min(tall - 1, Math.floor(to[1] * tall)), time }];
    }
    marks.append(node);
    tell();
  });
  stage.addEventListener("pointercancel", () => { from = null; rubber.hidden = true; });

  window.vivaeSource = {
    /* watch, point or box */
    mode(wanted) { mode = wanted; stage.dataset.mode = wanted; clear(); },
    mask(url) { mask.src = url; mask.hidden = false; },
    seek(time) { player.stop(); player.seekTime(time + 1e-4); },
  };
  player.use([video]);
  root.append(stage, transport(player));
  player.source(video, data.media);
  player.listeners.push(() => { if (points.length) clear(); tell(); });
  player.seek(0);
};
