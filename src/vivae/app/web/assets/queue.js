/* Jobs, newest first: how far, how fast, how long still; pause, go on, cancel; everything for download. */
BENCH.queue = (root, bench) => {
  const head = make("div", { class: "vv-head" }), list = make("div", { class: "vv-jobs" });
  const title = make("b", {}, "Jobs"), left = make("span");
  head.append(make("div", {}, title, left));
  root.replaceChildren(make("div", { class: "vv-queue" }, head, list));
  const known = new Map();

  const card = job => {
    const at = "/v/jobs/" + job.key;
    const button = (label, act, kind = "") => make("button", { type: "button", class: "vv-small " + kind, onclick: act }, label);
    const name = make("b", {}, (job.kind === "preview" ? "Preview · " : "") + job.title), words = make("p"), more = make("p", { class: "vv-more" });
    const bar = make("i", { class: "vv-bar" });
    const watch = button("Show", () => { bench.show({ job: job.key }); document.querySelector(".vv-viewer").scrollIntoView({ behavior: "smooth", block: "nearest" }); }, "vv-main");
    const pause = button("Pause", () => bench.act("POST", at + "/pause"));
    const resume = button("Resume", () => bench.act("POST", at + "/resume"), "vv-main");
    const cancel = button("Cancel", () => bench.act("POST", at + "/cancel"));
    const remove = button("Remove", () => bench.act("DELETE", at));
    const files = make("div", { class: "vv-files" });
    const line = make("code", {}, job.commands.join("\n"));
    const copy = button("Copy", async () => {
      try { await navigator.clipboard.writeText(job.commands.join("\n")); copy.textContent = "Copied"; }
      catch { getSelection().selectAllChildren(line); copy.textContent = "Selected"; }
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
    const command = make("details", {}, make("summary", {}, "The same on the command line"), make("div", { class: "vv-command" }, line, copy));
    const node = make("div", { class: "vv-job" }, make("div", { class: "vv-top" }, make("div", { class: "vv-what" }, name, words), make("div", { class: "vv-does" }, watch, pause, resume, cancel, remove)), bar, more, files, command);
    return { node, update(job) {
      node.dataset.state = job.state; node.dataset.kind = job.kind;
      const over = !["waiting", "running", "paused"].includes(job.state);
      bar.style.setProperty("--share", job.total ? job.done / job.total : 0);
      bar.hidden = over;
      write(words, job.state === "done" ? `done in ${lengthOf(job.seconds)} · ${bytesOf(job.memory)} of memory` : doing(job));
      write(more, over ? "" : job.words.join(" "));
      watch.hidden = job.state !== "done";
      pause.hidden = job.state !== "running"; resume.hidden = job.state !== "paused";
      cancel.hidden = over; remove.hidden = !over;
      const loads = job.files ? [...job.files.map((file, index) => [`${at}/files/${index}`, file.name, file.size]), [at + "/all", "Everything (.zip)"]] : [];
      if (loads.length !== files.childElementCount) {
        files.replaceChildren(...loads.map(([href, label, size]) => make("a", { href, download: "", class: "vv-small" }, label, ...(size ? [make("span", {}, bytesOf(size))] : []))));
      }
    } };
  };

  return () => {
    const jobs = bench.room.jobs;
    root.firstElementChild.hidden = !jobs.length;
    const alive = jobs.filter(job => ["waiting", "running"].includes(job.state)).length;
    write(left, alive ? `${alive} to do${bench.room.left != null ? ", " + lengthOf(bench.room.left) + " left in all" : ""}` : "");
    for (const [key, entry] of known) if (!jobs.some(job => job.key === key)) { entry.node.remove(); known.delete(key); }
    for (const job of jobs) {
      if (!known.has(job.key)) { known.set(job.key, card(job)); list.prepend(known.get(job.key).node); }
      known.get(job.key).update(job);
    }
  };
};
