/* The workbench: what the page knows of the visitor's room, asked for again and again, and the parts that show it.
   Each part is an element that Gradio puts into the page, drawn by a function of (element, bench) by its name. */
const vivaeBench = {
  room: { clips: [], jobs: [], left: null }, parts: new Map(), chosen: null, shown: null, seen: { time: 0, frame: 0, points: [] },
  tab: "compress", tool: "point", picks: { style: "wave", second: "", normal: [] }, sending: [], alarm: "", asks: 0, heard: 0,

  start() {
    this.draw();
    if (!this.timer) this.poll();
  },
  draw() {
    /* Gradio may put a part in later than it says, take it out for a moment, or put an empty one in its place. */
    for (const root of document.querySelectorAll(".vv-part")) {
      if (!this.parts.has(root)) this.parts.set(root, BENCH[root.dataset.part](root, this));
    }
    for (const [root, draw] of this.parts) if (root.isConnected) draw();
  },

  async poll() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), 15000);
    const turn = ++this.asks;
    try {
      const answer = await fetch("/v/room", { cache: "no-store" });
      const told = await answer.json();
      /* Answers may overtake each other: what was asked later is known better. */
      if (turn < this.heard) return;
      this.heard = turn;
      if (answer.ok) { this.room = told; this.lost = ""; } else this.lost = told.error;
    } catch { this.lost = "The server does not answer. Is vivae serve still running?"; }
    if (!this.room.clips.some(clip => clip.key === this.chosen)) {
      const first = this.room.clips.find(clip => clip.state === "ready");
      if (first) this.choose(first.key, false); else if (this.chosen) this.choose(null, false);
    }
    if (this.shown && this.shown.job && !this.room.jobs.some(job => job.key === this.shown.job)) this.show(null);
    this.draw();
    const busy = this.room.clips.some(clip => clip.state === "checking" || clip.busy || (clip.state === "ready" && !clip.viewable && !clip.told))
      || this.room.jobs.some(job => job.state === "running" || job.state === "waiting");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), this.lost ? 5000 : busy ? 500 : 4000);
  },

  clip(key = this.chosen) { return this.room.clips.find(clip => clip.key === key); },
  job(key) { return this.room.jobs.find(job => job.key === key); },
  choose(key, draw = true) {
    if (key !== this.chosen) { this.chosen = key; this.seen = { time: 0, frame: 0, points: [] }; }
    this.shown = key ? { clip: key } : null;
    if (draw) this.draw();
  },
  show(what) { this.shown = what || (this.chosen ? { clip: this.chosen } : null); this.draw(); },

  /* What Gradio's buttons send along: which clips, which three seconds, what was pointed at. */
  wish(kind) {
    const ready = this.room.clips.filter(clip => clip.state === "ready");
    const clips = kind === "all" ? ready.filter(clip => !clip.facts.image).map(clip => clip.key) : this.chosen ? [this.chosen] : [];
    return JSON.stringify({ clips, preview: kind === "preview" ? this.seen.time : null, points: this.seen.points, picks: this.picks });
  },
  /* What Gradio's buttons bring back: the keys of the jobs. */
  asked(keys) {
    const come = () => document.querySelector(".vv-viewer")?.scrollIntoView({ behavior: "smooth", block: "nearest" });
    if (keys) { this.show({ job: keys.split(" ")[0] }); this.poll().then(come); } else this.poll();
  },
  enter(tab) { this.tab = tab; this.draw(); },
  use(tool) { this.tool = tool; this.draw(); },

  async act(method, path) {
    const answer = await fetch(path, { method });
    if (!answer.ok) this.warn((await answer.json()).error);
    await this.poll();
  },
  warn(text) { this.alarm = text; clearTimeout(this.calm); this.calm = setTimeout(() => { this.alarm = ""; this.draw(); }, 12000); this.draw(); },

  /* One file after the other, each as the body of a request. */
  put(files) {
    for (const file of files) this.sending.push({ file, share: 0 });
    this.draw();
    if (!this.putting) this.putNext();
  },
  putNext() {
    const entry = this.sending[0];
    this.putting = Boolean(entry);
    if (!entry) return;
    const request = new XMLHttpRequest();
    request.open("POST", "/v/clips?name=" + encodeURIComponent(entry.file.name));
    request.upload.onprogress = event => { entry.share = event.loaded / event.total; this.draw(); };
    const over = text => {
      this.sending.shift();
      if (text) this.warn(text);
      this.poll(); this.putNext();
    };
    request.onload = () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch { told.error = "The server did not take it."; }
      if (request.status === 201 && !this.chosen) this.awaited = told.key;
      over(request.status === 201 ? "" : `${entry.file.name}: ${told.error}`);
    };
    request.onerror = () => over(`${entry.file.name}: the upload broke off. It may be larger than the server takes.`);
    request.send(entry.file);
  },
};
document.addEventListener("vivae:seen", event => { vivaeBench.seen = event.detail; vivaeBench.draw(); });

const BENCH = {};
const bytesOf = count => count >= 1e9 ? (count / 1e9).toFixed(2) + " GB" : count >= 1e6 ? (count / 1e6).toFixed(count >= 1e8 ? 0 : 1) + " MB" : Math.max(1, Math.round(count / 1e3)) + " kB";
const lengthOf = seconds => {
  if (seconds < 1) return "a moment";
  if (seconds < 100) return Math.round(seconds) + " s";
  return seconds < 5400 ? Math.round(seconds / 60) + " min" : (seconds / 3600).toFixed(1) + " h";
};
const atOf = seconds => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
/* Sets text only where it changed, so that nothing flickers and selections stay. */
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
