/* One clip, one comparison or one page at a time, each in a frame of its own, and how far the job is that it awaits. */
BENCH.viewer = (root, bench) => {
  const title = make("b"), note = make("span");
  const back = make("button", { type: "button", class: "vv-small", onclick: () => bench.show(null) }, "Back to the clip");
  const alone = make("a", { class: "vv-small", target: "_blank", rel: "noopener" }, "Alone ↗");
  const head = make("div", { class: "vv-head" }, make("div", {}, title, note), back, alone);
  const frame = make("div", { class: "vv-frame" });
  const figures = make("dl", { class: "vv-figures" });
  root.replaceChildren(make("div", { class: "vv-viewer" }, head, frame, figures));
  let drawn = "", inner = null;

  const open = (url, boxed) => {
    inner = make("iframe", { src: url, title: boxed ? "The page" : "The player", class: boxed ? "vv-page" : "vv-player" });
    if (boxed) inner.setAttribute("sandbox", "allow-scripts allow-downloads");
    inner.addEventListener("load", () => bench.draw());
    frame.replaceChildren(inner);
  };
  const wait = (picture, text) => {
    inner = null;
    const bar = make("i", { class: "vv-bar" }), words = make("p", {}, text);
    frame.replaceChildren(make("div", { class: "vv-wait" }, ...(picture ? [make("img", { src: picture, alt: "" })] : []), make("div", {}, words, bar)));
    return { bar, words };
  };
  let waiting = null;

  const drawClip = clip => {
    write(title, clip.title);
    write(note, clip.facts.image ? "image" : `${clip.facts.width}×${clip.facts.height}, ${+clip.facts.fps.toFixed(3)} frames a second, ${clip.facts.codec}`);
    const state = `clip ${clip.key} ${clip.viewable}`;
    if (state !== drawn) {
      drawn = state;
      if (clip.viewable) open(`/v/clips/${clip.key}/page`); else waiting = wait(`/v/clips/${clip.key}/thumbnail`, "");
      alone.href = `/v/clips/${clip.key}/page`;
    }
    if (!clip.viewable && waiting) {
      const busy = clip.busy;
      waiting.bar.style.setProperty("--share", busy && busy.total ? busy.done / busy.total : 0);
      write(waiting.words, clip.told ? `It cannot be shown: ${clip.told}` : "A copy that browsers can play is being made. You can start work already.");
    }
    const source = inner && inner.contentWindow && inner.contentWindow.vivaeSource;
    const wanted = bench.tab === "segment" && ["point", "box"].includes(bench.tool) ? bench.tool : "watch";
    if (source && inner.dataset.mode !== wanted) { inner.dataset.mode = wanted; source.mode(wanted); }
  };
  const drawJob = job => {
    write(title, (job.kind === "preview" ? "Preview · " : "") + job.title);
    write(note, job.state === "done" ? "" : job.state);
    const state = `job ${job.key} ${job.state}`;
    if (state !== drawn) {
      drawn = state;
      const picture = job.clip ? `/v/clips/${job.clip}/thumbnail` : "";
      if (job.state === "done") open(`/v/jobs/${job.key}/page`, job.view.kind === "page");
      else waiting = wait(picture, "");
      alone.href = `/v/jobs/${job.key}/page`;
    }
    if (job.state !== "done" && waiting) {
      waiting.bar.style.setProperty("--share", job.total ? job.done / job.total : 0);
      write(waiting.words, job.state === "failed" ? job.error : doing(job));
    }
    const pairs = [...(job.figures || [])];
    if (job.estimate) {
      const e = job.estimate;
      pairs.unshift(["The whole clip", `about ${lengthOf(e.seconds)}${e.bytes ? ", " + bytesOf(e.bytes) : ""}, ${bytesOf(e.memory)} of memory`]);
    }
    const text = JSON.stringify(pairs);
    if (figures.dataset.text !== text) {
      figures.dataset.text = text;
      figures.replaceChildren(...pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    }
  };

  return () => {
    const job = bench.shown && bench.shown.job && bench.job(bench.shown.job);
    const clip = bench.shown && bench.clip(bench.shown.clip);
    back.hidden = !job || !bench.clip(); alone.hidden = !(job ? job.state === "done" : clip && clip.viewable);
    figures.hidden = !job || job.state !== "done";
    head.hidden = !job && !clip;
    if (job) drawJob(job);
    else if (clip && clip.state === "ready") drawClip(clip);
    else if (drawn !== "empty") {
      drawn = "empty"; inner = null;
      frame.replaceChildren(make("div", { class: "vv-empty" }, make("b", {}, "Nothing to show yet"), make("span", {}, "Drop a video above, choose a task, and see three seconds of it before you start.")));
    }
  };
};

/* What a job is doing, in words. */
const doing = job => {
  if (job.state === "waiting") return job.before ? `waiting for ${job.before} other${job.before > 1 ? "s" : ""}` : "starting";
  if (job.state === "failed") return job.error;
  if (job.state === "paused") return `paused at ${job.done} of ${job.total || "?"} ${job.unit}`;
  if (job.state !== "running") return job.state;
  if (!job.label) return "starting";
  const parts = [`${job.label}: ${job.done}${job.total ? " of " + job.total : ""} ${job.unit}`];
  if (job.fps) parts.push(`${job.fps.toFixed(job.fps < 10 ? 1 : 0)} ${job.unit === "frames" ? "fps" : job.unit + " a second"}`);
  if (job.left != null) parts.push(`${lengthOf(job.left)} left`);
  if (job.memory) parts.push(bytesOf(job.memory));
  return parts.join(" · ");
};
