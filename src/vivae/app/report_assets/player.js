"use strict";
/* Media out of the page itself or from an address beginning with a slash, and one clock for videos that must run in
   step. */
const Media = {
  urls: new Map(),
  url(key) {
    if (key.startsWith("/")) return key;
    if (!this.urls.has(key)) {
      const store = document.getElementById("media-" + key);
      const bytes = Uint8Array.from(atob(store.textContent.trim()), c => c.charCodeAt(0));
      this.urls.set(key, URL.createObjectURL(new Blob([bytes], { type: store.dataset.mime })));
    }
    return this.urls.get(key);
  },
};

const ICONS = {
  play: '<svg viewBox="0 0 24 24"><path d="M7 4.6v14.8c0 .8.9 1.3 1.6.8l11-7.4c.6-.4.6-1.2 0-1.6l-11-7.4C7.9 3.3 7 3.8 7 4.6z"/></svg>',
  pause: '<svg viewBox="0 0 24 24"><path d="M7 4h3.4v16H7zM13.6 4H17v16h-3.4z"/></svg>',
  back: '<svg viewBox="0 0 24 24"><path d="M5 5h2.6v14H5zM19 5.6v12.8c0 .7-.8 1.1-1.4.7l-8.4-6.3a1 1 0 0 1 0-1.6l8.4-6.3c.6-.4 1.4 0 1.4.7z"/></svg>',
  next: '<svg viewBox="0 0 24 24"><path d="M19 5h-2.6v14H19zM5 5.6v12.8c0 .7.8 1.1 1.4.7l8.4-6.3a1 1 0 0 0 0-1.6L6.4 4.9C5.8 4.5 5 4.9 5 5.6z"/></svg>',
};

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "html") node.innerHTML = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/* Plays a list of videos as one. times: seconds at which the frames begin. The first video leads. */
class Player {
  constructor(times, duration) {
    this.times = times; this.duration = duration; this.videos = []; this.speed = 1;
    this.playing = false; this.index = 0; this.listeners = [];
    this.loop = this.loop.bind(this);
  }
  use(videos) {
    this.videos = videos;
    for (const video of videos) {
      video.muted = true; video.playsInline = true; video.preload = "auto";
      video.addEventListener("loadeddata", () => this.align(video), { once: true });
    }
    videos[0].addEventListener("ended", () => { if (this.playing) { this.seek(0); this.start(); } });
  }
  middle(index) {
    const end = index + 1 < this.times.length ? this.times[index + 1] : this.duration;
    return (this.times[index] + end) / 2;
  }
  align(video) {
    video.playbackRate = this.speed;
    video.currentTime = this.playing ? this.videos[0].currentTime : this.middle(this.index);
    if (this.playing) video.play().catch(() => {});
  }
  source(video, key) {
    if (video.dataset.key === key) return;
    video.dataset.key = key; video.src = Media.url(key);
    video.addEventListener("loadeddata", () => this.align(video), { once: true });
  }
  start() {
    this.playing = true;
    for (const video of this.videos) { video.playbackRate = this.speed; video.play().catch(() => {}); }
    requestAnimationFrame(this.loop); this.tell();
  }
  stop() {
    this.playing = false;
    for (const video of this.videos) video.pause();
    this.seek(this.index);
  }
  toggle() { this.playing ? this.stop() : this.start(); }
  seek(index) {
    this.index = Math.max(0, Math.min(this.times.length - 1, index));
    for (const video of this.videos) video.currentTime = this.middle(this.index);
    this.tell();
  }
  seekTime(time) { this.seek(this.at(time)); }
  at(time) {
    let low = 0, high = this.times.length - 1;
    while (low < high) { const mid = (low + high + 1) >> 1; if (this.times[mid] <= time + 1e-6) low = mid; else high = mid - 1; }
    return low;
  }
  rate(speed) { this.speed = speed; for (const video of this.videos) video.playbackRate = speed; }
  loop() {
    if (!this.playing) return;
    const lead = this.videos[0].currentTime;
    for (const video of this.videos.slice(1)) {
      const late = lead - video.currentTime;
      // Small lags are caught up by speed, which cannot be seen; a jump is for large ones.
      if (Math.abs(late) > 0.15) video.currentTime = lead;
      else video.playbackRate = this.speed * (1 + Math.max(-0.2, Math.min(0.2, late * 3)));
    }
    const index = this.at(lead);
    if (index !== this.index) { this.index = index; this.tell(); }
    requestAnimationFrame(this.loop);
  }
  tell() { for (const listener of this.listeners) listener(this.index, this.times[this.index], this.playing); }
}

/* Play, step, scrub and clock for a player; `more` are further controls in the same bar. */
function transport(player, ...more) {
  const last = player.times.length - 1;
  const play = make("button", { class: "icon main", "aria-label": "Play or pause", onclick: () => player.toggle() });
  const step = (name, by, label) =>
    make("button", { class: "icon", "aria-label": label, html: ICONS[name], onclick: () => { player.stop(); player.seek(player.index + by); } });
  const scrub = make("input", { type: "range", min: 0, max: last, value: 0, class: "grow", "aria-label": "Frame",
    oninput: () => { if (player.playing) player.stop(); player.seek(+scrub.value); } });
  const clock = make("span", { class: "clock" });
  player.listeners.push((index, time, playing) => {
    play.innerHTML = playing ? ICONS.pause : ICONS.play;
    scrub.value = index;
    clock.textContent = `${time.toFixed(2)} s · frame ${index + 1}/${last + 1}`;
  });
  const bar = make("div", { class: "bar" }, play, step("back", -1, "One frame back"), step("next", 1, "One frame on"), scrub, clock, ...more);
  player.tell();
  return bar;
}

function segmented(items, pick) {
  const buttons = items.map((item, index) => {
    const button = make("button", { type: "button", onclick: () => pick(index) });
    if (item.color) { const dot = make("i"); dot.style.setProperty("--c", `var(--c${item.color})`); button.append(dot); }
    button.append(item.label);
    return button;
  });
  const node = make("div", { class: "seg", role: "group" }, ...buttons);
  node.show = chosen => buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === chosen));
  return node;
}

/* A group of buttons with its name before it. */
function named(name, group, look = "named") {
  group.setAttribute("aria-label", name);
  return make("div", { class: look }, name, group);
}
