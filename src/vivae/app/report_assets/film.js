/* A video to play, and below it all of it at a glance: a strip of pictures, its shots, the moments told of.
   data: {media, width, height, times, duration, strip: [[time, jpeg]], shots: [{number, start, end, kind}],
   moments: [{start, end, kind, reason}]}. Anything on the page with data-at goes to that second. */
const clockOf = seconds => {
  const whole = Math.floor(seconds), minutes = Math.floor(whole / 60);
  return `${minutes}:${String(whole % 60).padStart(2, "0")}.${Math.floor((seconds - whole) * 10)}`;
};

MOUNT.film = (root, data) => {
  const player = new Player(data.times, data.duration);
  const stage = make("div", { class: "stage film" });
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  const video = make("video", { "aria-label": "The video, in small", onclick: () => player.toggle() });
  const tag = make("div", { class: "tag l" });
  stage.append(video, tag);
  player.use([video]);

  const share = time => 100 * time / data.duration + "%";
  const strip = make("div", { class: "strip" });
  const pictures = make("div", { class: "pictures" });
  data.strip.forEach(([, jpeg]) => pictures.append(make("img", { src: "data:image/jpeg;base64," + jpeg, alt: "", draggable: "false" })));
  const shots = make("div", { class: "shots" });
  const blocks = data.shots.map(shot => {
    const block = make("button", { type: "button", title: `Shot ${shot.number}, ${clockOf(shot.start)} to ${clockOf(shot.end)}`,
      onclick: () => go(shot.start) }, String(shot.number));
    block.style.left = share(shot.start);
    block.style.width = share(shot.end - shot.start);
    shots.append(block);
    return block;
  });
  const flags = make("div", { class: "flags" });
  data.moments.forEach(moment => {
    const flag = make("button", { type: "button", class: "flag " + moment.kind, title: `${clockOf(moment.start)}: ${moment.reason}`,
      "aria-label": moment.reason, onclick: () => go(moment.start) });
    flag.style.left = share(moment.start);
    flag.style.width = `max(9px, ${share(moment.end - moment.start)})`;
    flags.append(flag);
  });
  const head = make("div", { class: "head" });
  const hover = make("div", { class: "hover" });
  strip.append(pictures, head, hover);
  const go = time => { player.stop(); player.seekTime(time + 1e-4); };
  const at = event => {
    const box = strip.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * data.duration;
  };
  let dragging = false;
  strip.addEventListener("pointerdown", event => { dragging = true; strip.setPointerCapture(event.pointerId); go(at(event)); });
  strip.addEventListener("pointermove", event => {
    const time = at(event);
    hover.textContent = clockOf(time);
    hover.style.left = share(time);
    if (dragging) go(time);
  });
  for (const name of ["pointerup", "pointercancel"]) strip.addEventListener(name, () => { dragging = false; });

  /* As many pictures as fit without squeezing any. */
  const fit = () => {
    const wide = strip.clientHeight * data.width / data.height;
    const count = Math.max(1, Math.min(data.strip.length, Math.round(strip.clientWidth / wide)));
    const keep = new Set(Array.from({ length: count }, (_, k) => Math.floor((k + .5) * data.strip.length / count)));
    [...pictures.children].forEach((image, k) => { image.hidden = !keep.has(k); });
    blocks.forEach(block => block.classList.toggle("tight", block.clientWidth < 20));
  };
  const lane = make("div", { class: "lane" }, strip, shots, ...(data.moments.length ? [flags] : []));
  root.append(stage, transport(player), lane);
  new ResizeObserver(fit).observe(strip);

  player.source(video, data.media);
  const cards = [...document.querySelectorAll("[data-shot]")];
  player.listeners.push((index, time) => {
    head.style.left = share(time);
    const now = data.shots.findLast(shot => shot.start <= time + 1e-4) || data.shots[0];
    tag.textContent = data.shots.length > 1 ? `Shot ${now.number} of ${data.shots.length}` : "One shot";
    blocks.forEach((block, k) => block.classList.toggle("on", data.shots[k] === now));
    cards.forEach(card => card.classList.toggle("on", +card.dataset.shot === now.number));
    document.dispatchEvent(new CustomEvent("vivae:time", { detail: time }));
  });
  document.addEventListener("vivae:seek", event => go(event.detail));
  document.querySelectorAll("[data-at]").forEach(node => node.addEventListener("click", () => {
    go(+node.dataset.at);
    const box = stage.getBoundingClientRect();
    if (box.bottom < 80 || box.top > innerHeight - 80) stage.scrollIntoView({ behavior: "smooth", block: "center" });
  }));
  go(0);
};
