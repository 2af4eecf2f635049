/* The tabs: each shows the settings that Gradio has laid out for it. */
const SIGNS = {
  compress: '<path d="M4 10V4h6M20 14v6h-6M4 4l7 7M20 20l-7-7"/>',
  enhance: '<path d="M12 3l1.9 5.6L20 10.5l-6.1 1.9L12 18l-1.9-5.6L4 10.5l6.1-1.9zM19 16v5M16.5 18.5h5"/>',
  stylize: '<path d="M12 3a9 9 0 1 0 0 18c1.5 0 2-1 1.6-2.2-.5-1.6.4-2.8 2-2.8H18a3 3 0 0 0 3-3c0-5.5-4-10-9-10z"/><path d="M7.5 11h0M10.5 7.5h0M15 8h0"/>',
  segment: '<path d="M9 4H5a1 1 0 0 0-1 1v4M15 4h4a1 1 0 0 1 1 1v4M9 20H5a1 1 0 0 1-1-1v-4M15 20h4a1 1 0 0 0 1-1v-4"/><circle cx="12" cy="12" r="3.5"/>',
  generate: '<path d="M4 6h16v12H4zM8 6v12M16 6v12M4 10h4M4 14h4M16 10h4M16 14h4"/>',
  detect: '<path d="M3 13h4l3-8 4 14 3-9 1.5 3H21"/>',
  report: '<path d="M6 3h9l4 4v14H6zM9 12h7M9 16h7M9 8h3"/>',
};

BENCH.nav = (root, bench) => {
  const names = root.dataset.names.split(" ");
  const buttons = root.dataset.tabs.split(" ").map((tab, at) => {
    const button = make("button", { type: "button", role: "tab", "aria-controls": "vv-tab-" + tab, onclick: () => bench.enter(tab),
      html: `<svg viewBox="0 0 24 24" aria-hidden="true">${SIGNS[tab] || ""}</svg>` });
    button.append(names[at]);
    button.dataset.tab = tab;
    return button;
  });
  const list = make("div", { class: "vv-nav", role: "tablist", "aria-label": "Tasks" }, ...buttons);
  list.addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const next = buttons[(buttons.findIndex(button => button.dataset.tab === bench.tab) + by + buttons.length) % buttons.length];
    next.focus(); bench.enter(next.dataset.tab);
  });
  root.replaceChildren(list);
  return () => {
    for (const button of buttons) {
      const on = button.dataset.tab === bench.tab;
      button.setAttribute("aria-selected", on); button.tabIndex = on ? 0 : -1;
    }
    document.body.dataset.vvTab = bench.tab;
    for (const panel of document.querySelectorAll(".vv-tab")) panel.classList.toggle("vv-on", panel.id === "vv-tab-" + bench.tab);
    document.body.classList.toggle("vv-many", bench.room.clips.filter(clip => clip.state === "ready" && !clip.facts.image).length > 1);
  };
};

/* Which three seconds a preview shows. */
BENCH.when = (root, bench) => {
  const words = make("p", { class: "vv-note" });
  root.replaceChildren(words);
  return () => {
    const clip = bench.clip();
    if (!clip || clip.state !== "ready") { write(words, "Put in a clip to begin."); return; }
    if (clip.facts.image || bench.tab === "generate") { write(words, ""); return; }
    const start = Math.max(0, Math.min(bench.seen.time, clip.facts.duration - 3));
    write(words, `The preview begins at ${atOf(start)}, where the player stands, and tells what the whole clip will take.`);
  };
};
