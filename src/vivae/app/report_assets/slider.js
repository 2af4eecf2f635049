/* Two videos in step under one handle. data: {width, height, times, duration, original, original_label?,
   groups: [{label, items:
   [{label, color, media, caption}]}], start: [group, item]} */
const MOUNT = {};

MOUNT.slider = (root, data) => {
  const player = new Player(data.times, data.duration);
  const stage = make("div", { class: "stage" });
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  stage.style.setProperty("--ratio", data.width / data.height);
  const halves = ["left", "right"].map(side => {
    const video = make("video", { "aria-label": side });
    stage.append(make("div", { class: "half " + side }, video));
    return video;
  });
  const tags = ["l", "r"].map(side => { const tag = make("div", { class: "tag " + side }); stage.append(tag); return tag; });
  const handle = make("div", { class: "handle", role: "slider", tabindex: 0, "aria-label": "Where the two videos meet", "aria-valuemin": 0, "aria-valuemax": 100 });
  stage.append(handle);

  const cut = share => {
    const percent = 100 * Math.max(0, Math.min(1, share));
    stage.style.setProperty("--cut", percent + "%");
    handle.setAttribute("aria-valuenow", Math.round(percent));
    root.cut = percent / 100;
  };
  const zoom = { level: 1, x: 50, y: 50 };
  const show = () => halves.forEach(video => {
    video.style.transform = zoom.level > 1 ? `scale(${zoom.level})` : "";
    video.style.transformOrigin = `${zoom.x}% ${zoom.y}%`;
  });
  let dragging = false;
  const place = event => {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  stage.addEventListener("pointerdown", event => { dragging = true; stage.setPointerCapture(event.pointerId); cut(place(event)[0]); });
  stage.addEventListener("pointermove", event => {
    const [x, y] = place(event);
    if (dragging) cut(x);
    if (zoom.level > 1) { zoom.x = 100 * x; zoom.y = 100 * y; show(); }
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => { dragging = false; });
  handle.addEventListener("keydown", event => {
    const by = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (by) { cut(root.cut + by); event.preventDefault(); }
  });

  const all = data.groups.flatMap((group, g) => group.items.map((item, i) => ({ ...item, group: group.label, key: [g, i] })));
  const original = { label: data.original_label || "Original", media: data.original, caption: "" };
  const title = (tag, item) => {
    tag.textContent = item.group ? `${item.label} · ${item.group} ` : item.label;
    if (item.caption) tag.append(make("em", {}, item.caption));
  };
  const left = make("select", { "aria-label": "What stands left", onchange: () => setLeft() });
  [original, ...all].forEach((item, index) => left.append(new Option(item.group ? `${item.label} · ${item.group}` : item.label, index)));
  const setLeft = () => { const item = [original, ...all][left.value]; player.source(halves[0], item.media); title(tags[0], item); };

  let [group, item] = data.start;
  const groups = segmented(data.groups, index => choose(index, Math.min(item, data.groups[index].items.length - 1)));
  const methods = make("span");
  const choose = (g, i) => {
    [group, item] = [g, i];
    groups.show(g);
    const bar = segmented(data.groups[g].items, index => choose(g, index));
    bar.show(i);
    methods.replaceChildren(...(data.groups[g].items.length > 1 ? [bar] : []));
    const chosen = all.find(entry => entry.key[0] === g && entry.key[1] === i);
    player.source(halves[1], chosen.media);
    title(tags[1], chosen);
    document.dispatchEvent(new CustomEvent("vivae:choice", { detail: { group: chosen.group, label: chosen.label, media: chosen.media } }));
  };
  const speed = segmented([{ label: "1×" }, { label: "½" }, { label: "¼" }], index => { player.rate([1, 0.5, 0.25][index]); speed.show(index); });
  const loupe = segmented([{ label: "Fit" }, { label: "2×" }, { label: "4×" }], index => { zoom.level = [1, 2, 4][index]; loupe.show(index); show(); });
  /* What differs shines; the darker the picture, the more alike the two. */
  const gains = [0, 1, 4, 16];
  const difference = segmented([{ label: "Off" }, { label: "1×" }, { label: "4×" }, { label: "16×" }], index => {
    stage.classList.toggle("difference", index > 0);
    stage.style.setProperty("--gain", gains[index]);
    difference.show(index);
  });
  speed.show(0); loupe.show(0); difference.show(0);

  player.use(halves);
  root.append(stage, transport(player),
    ...(all.length > 1 ? [make("div", { class: "bar" }, named("Right", groups, "named wide"), methods)] : []),
    make("div", { class: "bar" }, ...(all.length > 1 ? [make("label", {}, "Left", left)] : []), named("Speed", speed),
      named("Zoom", loupe), named("Difference", difference)));
  cut(0.5); setLeft(); choose(group, item);
  player.seek(Math.floor(data.times.length / 3));  // the first frame is the least like the others
  player.listeners.push((index, time) => document.dispatchEvent(new CustomEvent("vivae:time", { detail: time })));
  document.addEventListener("vivae:seek", event => { player.stop(); player.seekTime(event.detail); });
  document.addEventListener("vivae:watch", event => {
    const found = all.find(entry => entry.media === event.detail);
    if (found) choose(...found.key);
  });
};
