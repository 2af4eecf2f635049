/* The visitor's clips, and the place to drop more. */
BENCH.tray = (root, bench) => {
  const input = make("input", { type: "file", multiple: "", accept: "video/*,image/*,.mkv,.y4m,.ts,.avi,.mov", "aria-label": "Choose files",
    onchange: () => { bench.put(input.files); input.value = ""; } });
  const drop = make("label", { class: "vv-drop" }, input, make("b", {}, "Drop videos or images here"), make("span", {}, "or click to choose; they stay on this machine"));
  const alarm = make("p", { class: "vv-alarm", role: "alert" });
  const cards = make("div", { class: "vv-cards" });
  root.replaceChildren(make("div", { class: "vv-tray" }, drop, cards), alarm);
  const known = new Map();

  let depth = 0;
  const over = on => document.querySelector(".vv-drop")?.classList.toggle("over", on);  // the one that stands there now
  const carries = event => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  if (!bench.dropping) {
    bench.dropping = true;
    document.addEventListener("dragenter", event => { if (carries(event)) { depth += 1; over(true); } });
    document.addEventListener("dragleave", event => { if (carries(event) && --depth <= 0) { depth = 0; over(false); } });
    document.addEventListener("dragover", event => { if (carries(event)) event.preventDefault(); });
    document.addEventListener("drop", event => { if (carries(event)) { event.preventDefault(); depth = 0; over(false); bench.put(event.dataTransfer.files); } });
  }

  const card = clip => {
    const picture = make("img", { alt: "", hidden: "" });
    const name = make("b"), facts = make("span");
    const face = make("button", { type: "button", class: "vv-face", onclick: () => { if (bench.clip(clip.key)?.state === "ready") bench.choose(clip.key); } }, picture, make("span", { class: "vv-words" }, name, facts));
    const away = make("button", { type: "button", class: "vv-away", title: "Remove", "aria-label": `Remove ${clip.title}`, onclick: () => bench.act("DELETE", "/v/clips/" + clip.key) }, "×");
    const node = make("div", { class: "vv-card" }, face, away);
    return { node, update(clip) {
      write(name, clip.title); name.title = clip.title;
      const f = clip.facts;
      node.dataset.state = clip.state;
      node.classList.toggle("on", clip.key === bench.chosen);
      if (clip.thumbnail && picture.hidden) { picture.src = `/v/clips/${clip.key}/thumbnail`; picture.hidden = false; }
      write(facts, clip.state === "refused" ? clip.told : clip.state === "checking" ? "being looked at …"
        : f.image ? `image · ${f.width}×${f.height} · ${bytesOf(clip.size)}` : `${f.width}×${f.height} · ${atOf(f.duration)} · ${bytesOf(clip.size)}`);
      facts.title = clip.told;
    } };
  };

  return () => {
    drop.classList.toggle("slim", bench.room.clips.length + bench.sending.length > 0);
    for (const [key, entry] of known) if (!bench.room.clips.some(clip => clip.key === key)) { entry.node.remove(); known.delete(key); }
    for (const clip of bench.room.clips) {
      if (!known.has(clip.key)) { known.set(clip.key, card(clip)); cards.append(known.get(clip.key).node); }
      known.get(clip.key).update(clip);
    }
    cards.querySelectorAll(".vv-sending").forEach(node => node.remove());
    for (const { file, share } of bench.sending) {
      const node = make("div", { class: "vv-card vv-sending" }, make("span", { class: "vv-words" }, make("b", {}, file.name), make("span", {}, `${Math.round(100 * share)} % of ${bytesOf(file.size)}`)), make("i", { class: "vv-bar" }));
      node.style.setProperty("--share", share);
      cards.append(node);
    }
    write(alarm, bench.lost || bench.alarm || "");
  };
};

/* Which of the shipped pictures, or of the visitor's own images, lends its style. */
BENCH.styles = (root, bench) => {
  const shipped = (root.dataset.styles || "").split(" ");
  const list = make("div", { class: "vv-picks", role: "radiogroup", "aria-label": "Style" });
  root.replaceChildren(list);
  let drawn = "";
  return () => {
    const own = bench.room.clips.filter(clip => clip.state === "ready" && clip.facts.image);
    const entries = [...shipped.map(name => [name, name, `/v/styles/${name}`]), ...own.map(clip => [clip.key, clip.title, `/v/clips/${clip.key}/thumbnail`])];
    if (!entries.some(([key]) => key === bench.picks.style)) bench.picks.style = shipped[0];
    const now = JSON.stringify([entries, bench.picks.style]);
    if (now === drawn) return;
    drawn = now;
    list.replaceChildren(...entries.map(([key, name, url]) => make("button",
      { type: "button", role: "radio", "aria-checked": key === bench.picks.style, title: name, onclick: () => { bench.picks.style = key; bench.draw(); } },
      make("img", { src: url, alt: "" }), make("span", {}, name))));
  };
};

/* Clips to pick from: one, or any number. */
const picker = (root, bench, label, role, chosen, pick) => {
  const list = make("div", { class: "vv-picks", role: role === "radio" ? "radiogroup" : "group", "aria-label": label });
  root.replaceChildren(list);
  let drawn = "";
  return () => {
    const clips = bench.room.clips.filter(clip => clip.state === "ready" && !clip.facts.image);
    const now = JSON.stringify([clips.map(clip => [clip.key, chosen(clip.key)])]);
    if (now === drawn) return;
    drawn = now;
    if (!clips.length) { list.replaceChildren(make("p", {}, "Put in clips first.")); return; }
    list.replaceChildren(...clips.map(clip => make("button", { type: "button", role, "aria-checked": chosen(clip.key), title: clip.title,
      onclick: () => { pick(clip.key); bench.draw(); } }, make("img", { src: `/v/clips/${clip.key}/thumbnail`, alt: "" }), make("span", {}, clip.title))));
  };
};

/* Which clips show what is usual. */
BENCH.normal = (root, bench) => picker(root, bench, "Ordinary footage", "checkbox", key => bench.picks.normal.includes(key), key => {
  const others = bench.picks.normal.filter(other => other !== key);
  bench.picks.normal = others.length < bench.picks.normal.length ? others : [...others, key];
});

/* Where a generated passage is to arrive. */
BENCH.second = (root, bench) => picker(root, bench, "The other clip", "radio", key => bench.picks.second === key, key => { bench.picks.second = key; });
