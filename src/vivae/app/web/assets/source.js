/* A clip to look through and to point into. data: {media, masks?, title, pixels: [wide, high], width, height, times,
   duration}. Tells the page around it where it stands and what was pointed at, in pixels of the video, by the event
   "vivae:seen"; shows the first mask of what is pointed at. */
MOUNT.source = (root, data) => {
  const player = new Player(data.times, data.duration);
  const stage = make("div", { class: "stage source" });
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  stage.style.setProperty("--ratio", data.width / data.height);
  const video = make("video", { "aria-label": "The clip" });
  const mask = make("img", { class: "mask", alt: "The object", hidden: "" });
  const marks = make("div", { class: "marks" });
  const rubber = make("div", { class: "rubber", hidden: "" });
  const tag = make("div", { class: "tag l" }, data.title);
  stage.append(video, mask, marks, rubber, tag);
  const [wide, high] = data.pixels;
  let mode = "watch", against = false, points = [], asked = 0, from = null;

  const hint = make("span", { class: "hint" });
  const say = text => { hint.textContent = text; };
  const sides = segmented([{ label: "On it" }, { label: "Not on it" }], index => { against = index === 1; sides.show(index); });
  sides.show(0);
  const tools = make("div", { class: "bar", hidden: "" }, sides,
    make("button", { type: "button", class: "plain", onclick: () => clear() }, "Clear"), hint);

  const here = () => points.filter(point => point.frame === player.index);
  const tell = () => { if (parent !== window) parent.document.dispatchEvent(new parent.CustomEvent("vivae:seen", {
    detail: { time: player.times[player.index], frame: player.index, points },
  })); };
  const percent = value => 100 * value + "%";
  const lay = (node, x, y, across, down) => Object.assign(node.style, { left: percent(x), top: percent(y), width: percent(across), height: percent(down) });
  const draw = () => {
    marks.replaceChildren(...here().map(point => {
      const node = make("i", { class: "width" in point ? "box" : point.against ? "point against" : "point" });
      lay(node, point.x / wide, point.y / high, (point.width || 0) / wide, (point.height || 0) / high);
      return node;
    }));
  };
  const clear = () => { points = []; asked += 1; mask.hidden = true; draw(); say(""); tell(); };

  /* The mask of what is pointed at in this frame; only the last answer counts. */
  const ask = async () => {
    const mine = ++asked, began = performance.now();
    mask.hidden = true;
    say("Looking …");
    const answer = await fetch(data.masks, { method: "POST", body: JSON.stringify({ time: player.times[player.index], points: here() }) });
    if (mine !== asked) return;
    if (!answer.ok) { say((await answer.json()).error); return; }
    URL.revokeObjectURL(mask.src);
    mask.src = URL.createObjectURL(await answer.blob());
    mask.hidden = false;
    say(`Found in ${((performance.now() - began) / 1000).toFixed(1)} s. Click again to correct it.`);
  };

  const share = event => {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(v => Math.max(0, Math.min(1, v)));
  };
  const corners = to => [from.map((v, k) => Math.min(v, to[k])), from.map((v, k) => Math.max(v, to[k]))];
  stage.addEventListener("pointerdown", event => {
    if (mode === "watch") { player.toggle(); return; }
    player.stop();
    from = share(event);
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", event => {
    if (!from || mode !== "box") return;
    const [low, top] = corners(share(event));
    lay(rubber, low[0], low[1], top[0] - low[0], top[1] - low[1]);
    rubber.hidden = false;
  });
  stage.addEventListener("pointerup", event => {
    if (!from) return;
    const to = share(event), [low, top] = corners(to), at = { time: player.times[player.index], frame: player.index };
    rubber.hidden = true; from = null;
    if (mode === "box") {
      const width = Math.round((top[0] - low[0]) * wide), height = Math.round((top[1] - low[1]) * high);
      if (width < 4 || height < 4) return;
      points = [...points.filter(point => point.frame !== at.frame), { x: Math.round(low[0] * wide), y: Math.round(low[1] * high), width, height, ...at }];
    } else {
      points = [...points, { x: Math.min(wide - 1, Math.floor(to[0] * wide)), y: Math.min(high - 1, Math.floor(to[1] * high)), against, ...at }];
    }
    draw(); tell();
    if (here().some(point => !point.against)) ask(); else say("Click on the object first.");
  });
  stage.addEventListener("pointercancel", () => { from = null; rubber.hidden = true; });

  window.vivaeSource = {
    /* watch, point or box */
    mode(wanted) {
      mode = wanted; stage.dataset.mode = wanted;
      tools.hidden = wanted === "watch"; sides.hidden = wanted === "box";
      clear();
      if (wanted === "point") say("Click on the object.");
      if (wanted === "box") say("Draw a box around the object.");
    },
  };
  player.use([video]);
  root.append(stage, tools, transport(player));
  player.source(video, data.media);
  let shown = -1;
  player.listeners.push(() => {
    if (player.index !== shown) { shown = player.index; asked += 1; mask.hidden = true; draw(); }
    tell();
  });
  player.seek(0);
};
